//! The JSON of answers: completions and chat, whole and piece by piece, as OpenAI and vLLM write them.

use super::drawing::Drawing;
use super::error::Refusal;
use super::fields::Fields;
use super::growing::{Growing, Grown};
use super::prompt::Prompt;
use super::state::{State, now};
use espalier_search::{Finish, Told, Wish, Wishes};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Likeliest tokens that may be listed beside each.
const MAX_ALTERNATIVES: u64 = 20;

/// What an answer shows.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the API")]
pub(crate) struct Shape {
    /// Chat's form, else that of completions.
    pub is_chat: bool,
    pub streams: bool,
    /// A last piece with the usage.
    pub streams_usage: bool,
    /// The prompt before each continuation.
    pub echo: bool,
    /// Log-probabilities, each with so many of the likeliest tokens.
    logprobs: Option<usize>,
    /// The same of the prompt's tokens.
    prompt_logprobs: Option<usize>,
    /// Ids beside texts.
    token_ids: bool,
    /// Ids in the place of tokens' texts.
    marks: bool,
}

/// The name and the time that all pieces of an answer have.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub name: String,
    created: u64,
    object: &'static str,
    model: String,
}

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub prompt: usize,
    pub completion: usize,
    /// Of the completion's: those that the answer does not show.
    pub reasoning: usize,
}

impl Shape {
    /// Reads the fields that say what is shown.
    pub fn read(fields: &mut Fields, is_chat: bool) -> Result<Shape, Refusal> {
        let streams = fields.switch("stream")?;
        let streams_usage = match fields.take("stream_options") {
            None => false,
            Some(_) if !streams => return Err(Refusal::field("stream_options", "goes with stream: true only")),
            Some(options) => {
                let mut options = Fields::of(options.to_string().as_bytes())?;
                let usage = options.switch("include_usage")?;
                options
                    .only(&[("include_obfuscation", &[json!(false)]), ("continuous_usage_stats", &[json!(false)])])?;
                options.end()?;
                usage
            }
        };
        let count = |number: Option<u64>| number.map(|number| number as usize);
        let (logprobs, prompt_logprobs, echo) = if is_chat {
            let are_wanted = fields.switch("logprobs")?;
            let top = count(fields.whole("top_logprobs", 0..=MAX_ALTERNATIVES)?);
            if top.is_some_and(|top| top > 0) && !are_wanted {
                return Err(Refusal::field("top_logprobs", "goes with logprobs: true only"));
            }
            (are_wanted.then(|| top.unwrap_or(0)), None, false)
        } else {
            let logprobs = count(fields.whole("logprobs", 0..=MAX_ALTERNATIVES)?);
            let prompt = count(fields.whole("prompt_logprobs", 0..=MAX_ALTERNATIVES)?);
            if prompt.is_some() && streams {
                return Err(Refusal::field("prompt_logprobs", "cannot be streamed; leave stream out"));
            }
            (logprobs, prompt, fields.switch("echo")?)
        };
        let (token_ids, marks) = (fields.switch("return_token_ids")?, fields.switch("return_tokens_as_token_ids")?);
        Ok(Shape { is_chat, streams, streams_usage, echo, logprobs, prompt_logprobs, token_ids, marks })
    }

    /// What the policy has to tell for it. Of a policy that lists no likeliest tokens, one more than the drawn ones is refused.
    pub fn wishes(&self, drawing: &Drawing, state: &State) -> Result<Wishes, Refusal> {
        let name = match (self.is_chat, self.logprobs >= self.prompt_logprobs) {
            (true, _) => "top_logprobs",
            (false, true) => "logprobs",
            (false, false) => "prompt_logprobs",
        };
        let mut alternatives = self.logprobs.max(self.prompt_logprobs).unwrap_or(0);
        if alternatives > 0 && !state.can(Wish::Alternatives) {
            // Most clients that want log-probabilities at all say 1.
            if alternatives > 1 {
                return Err(Refusal::field(
                    name,
                    "can be at most 1 here: this server's policy lists no other tokens than the drawn ones",
                ));
            }
            alternatives = 0;
        }
        let prefix = self.reads_prompt();
        if prefix && !state.can(Wish::Prefix) {
            let name = if self.prompt_logprobs.is_some() { "prompt_logprobs" } else { "echo" };
            return Err(Refusal::field(
                name,
                "asks for log-probabilities of the prompt, which this server's policy does not give",
            ));
        }
        Ok(Wishes {
            sampling: drawing.sampling.clone(),
            watched: self.streams,
            alternatives,
            prefix: prefix.then_some(1),
        })
    }

    /// Whether log-probabilities of the prompt are shown.
    pub fn reads_prompt(&self) -> bool {
        self.prompt_logprobs.is_some() || (self.echo && self.logprobs.is_some())
    }

    /// Whether pieces without text show anything.
    pub fn shows_tokens(&self) -> bool {
        self.logprobs.is_some() || self.token_ids
    }

    /// The head of an answer.
    pub fn head(&self, state: &State) -> Head {
        let (kind, object) = match (self.is_chat, self.streams) {
            (true, true) => ("chatcmpl", "chat.completion.chunk"),
            (true, false) => ("chatcmpl", "chat.completion"),
            (false, _) => ("cmpl", "text_completion"),
        };
        Head { name: state.new_name(kind), created: now(), object, model: state.config.model.clone() }
    }

    /// The continuation of a row, or a piece of it.
    pub fn choice(&self, row: usize, grown: &Grown, finish: Option<Finish>, state: &State) -> Value {
        let finish = finish.map(|finish| match finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
        });
        let mut choice = json!({ "index": row, "finish_reason": finish });
        if self.is_chat {
            choice["logprobs"] = match self.logprobs {
                Some(count) => self.chat_logprobs(&grown.tokens, count, state),
                None => Value::Null,
            };
            if self.streams {
                choice["delta"] = json!({ "content": grown.text });
            } else {
                choice["message"] = json!({ "role": "assistant", "content": grown.text, "refusal": null });
            }
        } else {
            choice["text"] = json!(grown.text);
            choice["logprobs"] = match self.logprobs {
                Some(count) => self.logprobs(grown, count, state),
                None => Value::Null,
            };
        }
        if self.token_ids {
            choice["token_ids"] = grown.tokens.iter().map(|told| told.id).collect();
        }
        choice
    }

    /// Adds what is shown of the prompt to the first piece of its continuation, `tokens` being told of it from its second on.
    pub fn add_prompt(&self, choice: &mut Value, prompt: &Prompt, tokens: &[Told], state: &State) {
        if self.token_ids {
            choice["prompt_token_ids"] = json!(prompt.ids);
        }
        if let Some(count) = self.prompt_logprobs {
            let listed = tokens.iter().map(|told| self.prompt_entry(told, count, state));
            choice["prompt_logprobs"] = std::iter::once(Value::Null).chain(listed).collect();
        }
        if !self.echo {
            return;
        }
        let shown = prompt.text.clone().unwrap_or_else(|| state.tokenizer.decode(&prompt.ids));
        let length = shown.chars().count();
        choice["text"] = json!(shown + choice["text"].as_str().unwrap_or_default());
        let Some(count) = self.logprobs else { return };
        // The first token follows nothing, and has no probability.
        let first = prompt.ids.iter().take(1).map(|&id| Told { id, logprob: 0.0, alternatives: Vec::new() });
        let mut growing = Growing::new(&[], Arc::from([]), &state.tokenizer);
        let own = growing.tell(0, first.chain(tokens.iter().cloned()).collect(), &state.tokenizer);
        let mut listed = self.logprobs(&own, count, state);
        listed["token_logprobs"][0] = Value::Null;
        if listed["top_logprobs"].is_array() {
            listed["top_logprobs"][0] = Value::Null;
        }
        let behind = choice["logprobs"].take();
        for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            let shifted = behind[name].as_array().into_iter().flatten().map(|value| match (name, value.as_u64()) {
                ("text_offset", Some(offset)) => json!(offset + length as u64),
                _ => value.clone(),
            });
            if let Some(list) = listed[name].as_array_mut() {
                list.extend(shifted);
            }
        }
        choice["logprobs"] = listed;
    }

    fn logprobs(&self, grown: &Grown, count: usize, state: &State) -> Value {
        let tokens: Vec<String> = grown.tokens.iter().map(|told| self.token(told.id, state)).collect();
        let logprobs: Vec<f32> = grown.tokens.iter().map(|told| told.logprob).collect();
        let top = |told: &Told| {
            let listed = told.alternatives.iter().take(count).copied().chain([(told.id, told.logprob)]);
            listed.map(|(id, logprob)| (self.token(id, state), json!(logprob))).collect::<Map<_, _>>()
        };
        let top: Option<Vec<_>> =
            (count == 0 || state.can(Wish::Alternatives)).then(|| grown.tokens.iter().map(top).collect());
        json!({ "tokens": tokens, "token_logprobs": logprobs, "top_logprobs": top, "text_offset": grown.offsets })
    }

    fn chat_logprobs(&self, tokens: &[Told], count: usize, state: &State) -> Value {
        let one = |id: u32, logprob: f32| {
            let text = state.tokenizer.decode(&[id]);
            // The bytes of half a character are not known here.
            let bytes = (!text.contains(char::REPLACEMENT_CHARACTER)).then(|| text.as_bytes().to_vec());
            json!({ "token": self.token(id, state), "logprob": logprob, "bytes": bytes })
        };
        let content = tokens.iter().map(|told| {
            let mut token = one(told.id, told.logprob);
            let top = told.alternatives.iter().take(count).map(|&(id, logprob)| one(id, logprob));
            token["top_logprobs"] = top.collect();
            token
        });
        json!({ "content": content.collect::<Vec<_>>(), "refusal": null })
    }

    /// vLLM's entry of one token of a prompt: its own, and the likeliest.
    fn prompt_entry(&self, told: &Told, count: usize, state: &State) -> Value {
        let mut entries = Map::new();
        let rank_of = |id: u32| told.alternatives.iter().position(|&(other, _)| other == id).map(|place| place + 1);
        for (id, logprob) in [(told.id, told.logprob)].into_iter().chain(told.alternatives.iter().take(count).copied())
        {
            let entry = json!({ "logprob": logprob, "rank": rank_of(id), "decoded_token": self.token(id, state) });
            entries.insert(id.to_string(), entry);
        }
        Value::Object(entries)
    }

    fn token(&self, id: u32, state: &State) -> String {
        if self.marks { format!("token_id:{id}") } else { state.tokenizer.decode(&[id]) }
    }
}

impl Head {
    /// An answer, or a piece of one.
    pub fn with(&self, choices: Vec<Value>, usage: Option<Usage>) -> Value {
        let mut body = json!({
            "id": self.name, "object": self.object, "created": self.created, "model": self.model, "choices": choices,
        });
        if let Some(usage) = usage {
            body["usage"] = usage.json();
        }
        body
    }
}

impl Usage {
    fn json(self) -> Value {
        let Usage { prompt, completion, reasoning } = self;
        let mut usage =
            json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
        if reasoning > 0 {
            usage["completion_tokens_details"] = json!({ "reasoning_tokens": reasoning });
        }
        usage
    }
}
