//! `POST /value` and `POST /pooling`: what the value head thinks of states, in [-1, 1].
//!
//! A state is a prefix of a text: all of it, or up to an end. `/pooling` is vLLM's form of the same: one number for each text
//! (`classify`), or one for each of its tokens (`token_classify`).

use super::answering::{Answering, Piece, Visit, Wanted};
use super::drawing::Drawing;
use super::error::{Refusal, json_response};
use super::fields::{Fields, wrong};
use super::prompt::{Prompt, chat_prompt, messages, prompts};
use super::state::{State, now};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use espalier_search::Wishes;
use espalier_tokenizer::Continuation;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// States of one request, and tokens of all of them together, each state's counted anew.
const MAX_STATES: usize = 1 << 16;
const MAX_TOKENS: usize = 1 << 23;

/// The states of some texts.
pub(crate) struct Valuation {
    form: Form,
    texts: Vec<Prompt>,
    /// Of each text: the ends of its states, in tokens.
    ends: Vec<Vec<usize>>,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Ours: every value beside its end.
    Value,
    /// vLLM's, one number for each text.
    Pooled,
    /// vLLM's, a list of one number for each token.
    Tokens,
}

impl Valuation {
    /// Reads a body of our own form: prompts, and either `ends` or the strings that end steps (`stop`).
    pub fn of_value(mut fields: Fields, state: &State) -> Result<Valuation, Refusal> {
        state.check_model(&mut fields)?;
        let (ends, stops) = (fields.take("ends"), fields.texts("stop")?);
        if stops.iter().any(String::is_empty) {
            return Err(Refusal::field("stop", "has an empty text"));
        }
        let texts = prompts(&mut fields, "prompt", state)?;
        fields.end()?;
        let ends = match ends {
            None if stops.is_empty() => texts.iter().map(|text| vec![text.ids.len()]).collect(),
            None => texts.iter().map(|text| step_ends(text, &stops, state)).collect(),
            Some(_) if !stops.is_empty() => {
                return Err(Refusal::field("ends", "goes without stop: either of them says where states end"));
            }
            Some(given) => read_ends(&given, &texts)?,
        };
        Valuation { form: Form::Value, texts, ends }.checked(state)
    }

    /// Reads a body of vLLM's form.
    pub fn of_pooling(mut fields: Fields, state: &State) -> Result<Valuation, Refusal> {
        state.check_model(&mut fields)?;
        let form = match fields.text("task")?.as_deref() {
            None | Some("classify" | "score" | "reward") => Form::Pooled,
            Some("token_classify") => Form::Tokens,
            Some(other) => return Err(wrong("task", &json!(other), "classify or token_classify")),
        };
        // The value head's own squashing is part of it.
        let (float, yes) = ([json!("float")], [json!(true), json!("default")]);
        fields.only(&[
            ("encoding_format", &float),
            ("embed_dtype", &[json!("float32")]),
            ("use_activation", &yes),
            ("add_generation_prompt", &[json!(false)]),
        ])?;
        let texts = if let Some(list) = fields.take("messages") {
            let mut only = Fields::of(json!({ "messages": list }).to_string().as_bytes())?;
            vec![chat_prompt(&messages(&mut only)?, state)?]
        } else {
            prompts(&mut fields, "input", state)?
        };
        fields.end()?;
        let ends =
            |text: &Prompt| if form == Form::Tokens { (1..=text.ids.len()).collect() } else { vec![text.ids.len()] };
        let ends = texts.iter().map(ends).collect();
        Valuation { form, texts, ends }.checked(state)
    }

    fn checked(self, state: &State) -> Result<Valuation, Refusal> {
        let count: usize = self.ends.iter().map(Vec::len).sum();
        if !state.about.has_value_head {
            return Err(Refusal::bad("this server's policy has no value head; train one with `step-train value`"));
        }
        let tokens: usize = self.ends.iter().flatten().sum();
        if count > MAX_STATES || tokens > MAX_TOKENS {
            return Err(Refusal::bad(format!(
                "the request has {count} states of {tokens} tokens together, but may have {MAX_STATES} of {MAX_TOKENS}; ask in parts"
            )));
        }
        Ok(self)
    }

    /// Answers it.
    pub async fn answer(self, state: &Arc<State>, visit: Visit) -> Result<Response<Body>, Refusal> {
        // The longest state first: the others are parts of it, and read with it.
        let mut order: Vec<(usize, usize)> =
            self.ends.iter().enumerate().flat_map(|(text, ends)| ends.iter().map(move |&end| (text, end))).collect();
        order.sort_by_key(|&(text, end)| (text, std::cmp::Reverse(end)));
        order.dedup();
        let states: Vec<Prompt> =
            order.iter().map(|&(text, end)| Prompt { ids: self.texts[text].ids[..end].to_vec(), text: None }).collect();
        let wanted = Wanted {
            k: 0,
            max_tokens: vec![0; states.len()],
            trees: order.iter().map(|&(text, _)| text).collect(),
            wishes: Wishes::default(),
            wants_value: true,
        };
        let mut answering = Answering::begin(state, &states, &Drawing::nothing(), wanted, visit).await?;
        let mut values = HashMap::new();
        while let Some(piece) = answering.next().await {
            if let Piece::Value { prompt, value } = piece? {
                values.insert(order[prompt], value);
            }
        }
        let value_at = |text: usize, end: usize| {
            let value = values.get(&(text, end)).copied().filter(|value| value.is_finite());
            value.ok_or_else(|| Refusal::failed(format!("the policy gave no value of text {text} at token {end}")))
        };
        let mut data = Vec::new();
        for (index, ends) in self.ends.iter().enumerate() {
            let values = ends.iter().map(|&end| value_at(index, end)).collect::<Result<Vec<f32>, _>>()?;
            data.push(match self.form {
                Form::Value => json!({ "object": "value", "index": index, "ends": ends, "values": values }),
                Form::Pooled => json!({ "object": "pooling", "index": index, "data": values }),
                Form::Tokens => {
                    let rows: Vec<Vec<f32>> = values.into_iter().map(|value| vec![value]).collect();
                    json!({ "object": "pooling", "index": index, "data": rows })
                }
            });
        }
        let tokens: usize = self.texts.iter().map(|text| text.ids.len()).sum();
        let name = state.new_name(if self.form == Form::Value { "value" } else { "pool" });
        let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0 });
        let body = json!({
            "id": name, "object": "list", "created": now(), "model": state.config.model, "data": data, "usage": usage,
        });
        Ok(json_response(StatusCode::OK, &body))
    }
}

/// The ends of the states of each text: a list for one text, a list of lists for several.
fn read_ends(given: &Value, texts: &[Prompt]) -> Result<Vec<Vec<usize>>, Refusal> {
    let refused = || wrong("ends", given, "a list of numbers of tokens for each prompt");
    let list = given.as_array().ok_or_else(refused)?;
    let one = [given.clone()];
    let lists = if texts.len() == 1 && list.iter().all(Value::is_number) { &one[..] } else { list };
    if lists.len() != texts.len() {
        return Err(Refusal::field(
            "ends",
            format!("has {} lists, but there are {} prompts", lists.len(), texts.len()),
        ));
    }
    let read = |(list, text): (&Value, &Prompt)| {
        let end = |value: &Value| {
            let end = value.as_u64().filter(|end| (1..=text.ids.len() as u64).contains(end));
            end.map(|end| end as usize)
                .ok_or_else(|| wrong("ends", value, format!("from 1 to the prompt's {} tokens", text.ids.len())))
        };
        list.as_array().ok_or_else(refused)?.iter().map(end).collect()
    };
    lists.iter().zip(texts).map(read).collect()
}

/// The tokens in which these strings end, and the last token.
fn step_ends(text: &Prompt, stops: &[String], state: &State) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut continuation = Continuation::new(&[], "", &state.tokenizer);
    let mut before: usize = 0;
    for (end, &id) in (1..).zip(&text.ids) {
        continuation.push(id, &[], usize::MAX, &state.tokenizer);
        let so_far = continuation.text();
        let ends_here = |stop: &String| {
            // Bytes, since what is looked at may begin inside a character.
            let from = (before + 1).saturating_sub(stop.len());
            so_far.as_bytes()[from..].windows(stop.len()).any(|part| part == stop.as_bytes())
        };
        if stops.iter().any(ends_here) || end == text.ids.len() {
            ends.push(end);
        }
        before = so_far.len();
    }
    ends
}
