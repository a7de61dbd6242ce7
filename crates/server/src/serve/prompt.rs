//! Prompts in the forms that clients send them: a text, the ids of one, a list of either, or a conversation.

use super::error::Refusal;
use super::fields::{Fields, wrong};
use super::state::State;
use espalier_tokenizer::Message;
use serde_json::Value;

/// Prompts of one request.
const MAX_PROMPTS: usize = 256;
/// Messages of one conversation.
const MAX_MESSAGES: usize = 4096;

const FORMS: &str = "a text, a list of token ids, or a list of either";

/// A prompt to be continued.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prompt {
    /// At least one; the model's start tokens are among them.
    pub ids: Vec<u32>,
    /// As it was given, if it was given as a text.
    pub text: Option<String>,
}

/// The prompts in the field of this name.
pub(crate) fn prompts(fields: &mut Fields, name: &str, state: &State) -> Result<Vec<Prompt>, Refusal> {
    let adds_start = match fields.take("add_special_tokens") {
        None => true,
        Some(Value::Bool(adds)) => adds,
        Some(other) => return Err(wrong("add_special_tokens", &other, "true or false")),
    };
    let given = match fields.take(name) {
        None => return Err(Refusal::field(name, format!("is missing; it is {FORMS}"))),
        Some(Value::Array(list)) if list.iter().any(|one| !one.is_number()) => list,
        // An empty list is a prompt without tokens.
        Some(one) => vec![one],
    };
    if given.len() > MAX_PROMPTS {
        return Err(Refusal::field(name, format!("has {} prompts, but may have {MAX_PROMPTS}", given.len())));
    }
    given.into_iter().map(|one| prompt(name, one, adds_start, state)).collect()
}

fn prompt(name: &str, value: Value, adds_start: bool, state: &State) -> Result<Prompt, Refusal> {
    let prompt = match value {
        Value::String(text) => {
            state.check_bytes(name, text.len())?;
            let tokenizer = &state.tokenizer;
            let ids = if adds_start { tokenizer.encode_prompt(&text) } else { tokenizer.encode(&text) };
            let ids = ids.map_err(|error| Refusal::field(name, format!("cannot be tokenized: {error}")))?;
            Prompt { ids, text: Some(text) }
        }
        Value::Array(list) => {
            Prompt { ids: list.iter().map(|id| token(name, id, state)).collect::<Result<_, _>>()?, text: None }
        }
        other => return Err(wrong(name, &other, FORMS)),
    };
    checked(name, prompt, state)
}

/// The id of one of the model's tokens.
pub(crate) fn token(name: &str, value: &Value, state: &State) -> Result<u32, Refusal> {
    let vocabulary = state.tokenizer.vocab_size();
    let id = value.as_u64().filter(|&id| id < vocabulary as u64);
    id.map(|id| id as u32).ok_or_else(|| {
        if value.is_number() {
            Refusal::field(name, format!("has the token {value}, which is not among the model's {vocabulary}"))
        } else {
            wrong(name, value, FORMS)
        }
    })
}

/// Refuses what cannot be continued.
fn checked(name: &str, prompt: Prompt, state: &State) -> Result<Prompt, Refusal> {
    match state.about.max_context_tokens {
        _ if prompt.ids.is_empty() => Err(Refusal::field(name, "is empty; there is nothing to continue")),
        Some(context) if prompt.ids.len() >= context => Err(Refusal::too_long(name, prompt.ids.len(), context)),
        _ => Ok(prompt),
    }
}

/// The conversation of a request.
pub(crate) fn messages(fields: &mut Fields) -> Result<Vec<Message>, Refusal> {
    const NAME: &str = "messages";
    let list = match fields.take(NAME) {
        Some(Value::Array(list)) if !list.is_empty() => list,
        None => return Err(Refusal::field(NAME, "is missing; it is a list of objects with role and content")),
        Some(other) => return Err(wrong(NAME, &other, "a list of objects with role and content")),
    };
    if list.len() > MAX_MESSAGES {
        return Err(Refusal::field(NAME, format!("has {} messages, but may have {MAX_MESSAGES}", list.len())));
    }
    list.into_iter().enumerate().map(|(place, value)| message(place, value)).collect()
}

fn message(place: usize, value: Value) -> Result<Message, Refusal> {
    let name = format!("messages[{place}]");
    let Value::Object(mut fields) = value else { return Err(wrong(&name, &value, "an object with role and content")) };
    let role = match fields.remove("role") {
        Some(Value::String(role)) => role,
        other => return Err(wrong(&format!("{name}.role"), &other.unwrap_or_default(), "a text")),
    };
    let content = match fields.remove("content") {
        Some(Value::String(text)) => text,
        // Parts, of which only texts can be read here.
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| match (part["type"].as_str(), part["text"].as_str()) {
                (Some("text"), Some(text)) => Ok(text),
                _ => Err(Refusal::field(
                    &format!("{name}.content"),
                    "has a part that is not {\"type\": \"text\", \"text\": ..}",
                )),
            })
            .collect::<Result<String, _>>()?,
        other => {
            return Err(wrong(&format!("{name}.content"), &other.unwrap_or_default(), "a text or a list of parts"));
        }
    };
    match fields.iter().find(|(_, value)| !value.is_null()) {
        Some((other, _)) => {
            Err(Refusal::field(&format!("{name}.{other}"), "is not a field that this server understands"))
        }
        None => Ok(Message { role, content }),
    }
}

/// The conversation in the model's own words.
pub(crate) fn chat_prompt(messages: &[Message], state: &State) -> Result<Prompt, Refusal> {
    state.check_bytes("messages", messages.iter().map(|message| message.content.len()).sum())?;
    let text = state
        .tokenizer
        .chat(messages)
        .map_err(|error| Refusal::field("messages", format!("cannot be put to the model: {error}")))?;
    let ids = state
        .tokenizer
        .encode(&text)
        .map_err(|error| Refusal::field("messages", format!("cannot be tokenized: {error}")))?;
    checked("messages", Prompt { ids, text: Some(text) }, state)
}
