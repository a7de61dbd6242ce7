//! `POST /tokenize` and `POST /detokenize`, as vLLM has them.

use super::error::{Refusal, json_response};
use super::fields::{Fields, wrong};
use super::prompt::{messages, token};
use super::state::State;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

/// The ids of a text, or of a conversation in the model's words.
pub(crate) fn tokenize(mut fields: Fields, state: &State) -> Result<Response<Body>, Refusal> {
    state.check_model(&mut fields)?;
    let adds_start = match fields.take("add_special_tokens") {
        None => true,
        Some(Value::Bool(adds)) => adds,
        Some(other) => return Err(wrong("add_special_tokens", &other, "true or false")),
    };
    let shows_texts = fields.switch("return_token_strs")?;
    fields.only(&[("add_generation_prompt", &[json!(true)]), ("continue_final_message", &[json!(false)])])?;
    let tokenizer = &state.tokenizer;
    let (name, ids) = match fields.text("prompt")? {
        Some(text) => ("prompt", if adds_start { tokenizer.encode_prompt(&text) } else { tokenizer.encode(&text) }),
        None => (
            "messages",
            messages(&mut fields)
                .and_then(|messages| {
                    tokenizer
                        .chat(&messages)
                        .map_err(|error| Refusal::field("messages", format!("cannot be put to the model: {error}")))
                })
                .map(|text| tokenizer.encode(&text))?,
        ),
    };
    fields.end()?;
    let ids = ids.map_err(|error| Refusal::field(name, format!("cannot be tokenized: {error}")))?;
    let texts: Option<Vec<String>> = shows_texts.then(|| ids.iter().map(|&id| tokenizer.decode(&[id])).collect());
    let body = json!({
        "count": ids.len(), "max_model_len": state.about.max_context_tokens, "tokens": ids, "token_strs": texts,
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// The text of ids.
pub(crate) fn detokenize(mut fields: Fields, state: &State) -> Result<Response<Body>, Refusal> {
    state.check_model(&mut fields)?;
    let ids = match fields.take("tokens") {
        Some(Value::Array(list)) => {
            list.iter().map(|id| token("tokens", id, state)).collect::<Result<Vec<u32>, _>>()?
        }
        None => return Err(Refusal::field("tokens", "is missing; it is a list of token ids")),
        Some(other) => return Err(wrong("tokens", &other, "a list of token ids")),
    };
    fields.end()?;
    Ok(json_response(StatusCode::OK, &json!({ "prompt": state.tokenizer.decode(&ids) })))
}
