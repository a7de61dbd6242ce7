//! How a request wants its tokens drawn: temperature, limits, seed, stop strings, length.

use super::error::Refusal;
use super::fields::{Fields, wrong};
use super::state::State;
use espalier_search::{SamplingConfig, Wish};
use serde_json::{Value, json};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Continuations of one prompt.
pub(crate) const MAX_CHOICES: u64 = 128;
/// Stop strings of one request, and bytes of one.
const MAX_STOPS: usize = 64;
const MAX_STOP_BYTES: usize = 1024;
/// What a continuation may have where nobody knows the model's context.
const UNKNOWN_CONTEXT: usize = 1 << 20;
/// The order in which limits are applied here, as llama.cpp names it.
const SAMPLERS: [&str; 5] = ["penalties", "temperature", "top_k", "top_p", "min_p"];

/// How continuations are drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    pub temperature: f32,
    /// Limits other than the server's own.
    pub sampling: Option<SamplingConfig>,
    pub seed: u64,
    /// Continuations of each prompt.
    pub n: usize,
    pub stops: Arc<[String]>,
    /// Most tokens, if the request says so.
    pub max_tokens: Option<usize>,
}

impl Drawing {
    /// Reads what completions and chat have in common.
    pub fn read(fields: &mut Fields, max_tokens: RangeInclusive<u64>, state: &State) -> Result<Drawing, Refusal> {
        refuse_what_cannot_be_done(fields)?;
        let temperature = fields.number("temperature", "at least 0", |number| number >= 0.0)?.unwrap_or(1.0) as f32;
        let n = fields.whole("n", 1..=MAX_CHOICES)?.unwrap_or(1) as usize;
        let best_of = fields.whole("best_of", 1..=MAX_CHOICES)?;
        if best_of.is_some_and(|best_of| best_of != n as u64) {
            return Err(Refusal::field("best_of", format!("can only be n, which is {n}")));
        }
        let most = fields.whole("max_tokens", max_tokens.clone())?;
        let most = fields.whole("max_completion_tokens", max_tokens)?.or(most).map(|tokens| tokens as usize);
        let (temperature, sampling) = limits(fields, temperature, state)?;
        Ok(Drawing { temperature, sampling, seed: seed(fields)?, n, stops: stops(fields)?, max_tokens: most })
    }

    /// Of a request that draws nothing.
    pub fn nothing() -> Drawing {
        Drawing { temperature: 0.0, sampling: None, seed: 0, n: 1, stops: Arc::from([]), max_tokens: None }
    }

    /// Most tokens behind a prompt; `otherwise` holds where the request says nothing, `None` for all that there is room for.
    pub fn max_tokens(&self, prompt_tokens: usize, otherwise: Option<usize>, state: &State) -> usize {
        let context = state.about.max_context_tokens;
        let room = context.map_or(UNKNOWN_CONTEXT, |context| context.saturating_sub(prompt_tokens));
        self.max_tokens.or(otherwise).map_or(room, |tokens| tokens.min(room))
    }
}

/// Fields of OpenAI's and vLLM's API that this server has nothing for, but their neutral values.
fn refuse_what_cannot_be_done(fields: &mut Fields) -> Result<(), Refusal> {
    let (no, zero, one, empty) = ([json!(false)], [json!(0)], [json!(1)], [json!([]), json!({}), json!("")]);
    fields.only(&[
        ("presence_penalty", &zero),
        ("frequency_penalty", &zero),
        ("logit_bias", &empty),
        ("suffix", &empty),
        ("tools", &empty),
        ("functions", &empty),
        ("tool_choice", &[json!("none"), json!("auto")]),
        ("parallel_tool_calls", &[json!(true), json!(false)]),
        ("response_format", &[json!({ "type": "text" })]),
        ("store", &no),
        ("use_beam_search", &no),
        ("ignore_eos", &no),
        ("min_tokens", &zero),
        ("stop_token_ids", &empty),
        ("length_penalty", &one),
        // Texts are those of all tokens here, special ones as well, with nothing put between them.
        ("skip_special_tokens", &no),
        ("spaces_between_special_tokens", &no),
        ("include_stop_str_in_output", &no),
        ("add_generation_prompt", &[json!(true)]),
        ("continue_final_message", &no),
    ])
}

/// The limits on the distribution, over those of the server: the temperature with them, and what differs.
fn limits(fields: &mut Fields, temperature: f32, state: &State) -> Result<(f32, Option<SamplingConfig>), Refusal> {
    let own = &state.config.sampling;
    let mut sampling = own.clone();
    let mut first = None;
    let mut note = |name: &'static str, is_other: bool| first = first.or(is_other.then_some(name));
    let mut temperature = temperature;
    if let Some(value) = fields.take("top_k") {
        // -1 and 0 are no limit, and so is the whole vocabulary.
        let vocabulary = state.tokenizer.vocab_size() as i64;
        match value.as_i64() {
            Some(-1 | 0) => sampling.top_k = 0,
            Some(count) if count >= vocabulary => sampling.top_k = 0,
            // The likeliest token, at whatever temperature.
            Some(1) => temperature = 0.0,
            Some(count) if count > 0 => sampling.top_k = count as usize,
            _ => return Err(wrong("top_k", &value, "-1, 0 or the number of tokens")),
        }
        note("top_k", sampling.top_k != own.top_k);
    }
    if let Some(share) = fields.number("top_p", "above 0 and at most 1", |share| share > 0.0 && share <= 1.0)? {
        // What is above 0 as it was written may be none in 32 bits.
        sampling.top_p = (share as f32).max(f32::MIN_POSITIVE);
        note("top_p", sampling.top_p != own.top_p);
    }
    if let Some(share) =
        fields.number("min_p", "at least 0 and below 1", |share| (0.0..1.0).contains(&f64::from(share as f32)))?
    {
        sampling.min_p = share as f32;
        note("min_p", sampling.min_p != own.min_p);
    }
    let mut penalty = None;
    for name in ["repetition_penalty", "repeat_penalty"] {
        let Some(given) =
            fields.number(name, "above 0", |penalty| penalty as f32 > 0.0 && (penalty as f32).is_finite())?
        else {
            continue;
        };
        if penalty.is_some_and(|other: f32| other != given as f32) {
            return Err(Refusal::field(name, "differs from repetition_penalty, which is the same"));
        }
        penalty = Some(given as f32);
        note(name, given as f32 != own.repetition_penalty);
    }
    sampling.repetition_penalty = penalty.unwrap_or(own.repetition_penalty);
    if let Some(value) = fields.take("repeat_last_n") {
        // The penalty looks back over the whole text here.
        let all = state.about.max_context_tokens.unwrap_or(UNKNOWN_CONTEXT) as i64;
        let is_whole = |tokens: i64| tokens == -1 || tokens >= all || sampling.repetition_penalty == 1.0;
        if !value.as_i64().is_some_and(|tokens| tokens >= -1 && is_whole(tokens)) {
            return Err(wrong("repeat_last_n", &value, "-1: the penalty looks back over the whole text"));
        }
    }
    if let Some(value) = fields.take("samplers").filter(|value| *value != json!(SAMPLERS)) {
        return Err(wrong("samplers", &value, format!("{}, the order that there is", json!(SAMPLERS))));
    }
    if temperature == 0.0 {
        // Only the penalty has a meaning where the likeliest token is taken.
        sampling = SamplingConfig { repetition_penalty: sampling.repetition_penalty, ..own.clone() };
    }
    if sampling == *own {
        return Ok((temperature, None));
    }
    match first {
        Some(name) if !state.can(Wish::Sampling) => Err(Refusal::field(
            name,
            "cannot be set for one request with this server's policy; it is set where the server is started",
        )),
        _ => Ok((temperature, Some(sampling))),
    }
}

fn seed(fields: &mut Fields) -> Result<u64, Refusal> {
    match fields.take("seed") {
        // Random bits without a seed: the standard library's hash keys.
        None => Ok(RandomState::new().build_hasher().finish()),
        Some(value) => {
            let signed = |value: &Value| value.as_i64().map(|seed| seed as u64);
            value.as_u64().or_else(|| signed(&value)).ok_or_else(|| wrong("seed", &value, "a whole number of 64 bits"))
        }
    }
}

fn stops(fields: &mut Fields) -> Result<Arc<[String]>, Refusal> {
    let stops = fields.texts("stop")?;
    if stops.len() > MAX_STOPS {
        return Err(Refusal::field("stop", format!("has {} texts, but may have {MAX_STOPS}", stops.len())));
    }
    for stop in &stops {
        if stop.is_empty() || stop.len() > MAX_STOP_BYTES {
            return Err(Refusal::field(
                "stop",
                format!("has a text of {} bytes, but each has 1 to {MAX_STOP_BYTES}", stop.len()),
            ));
        }
    }
    Ok(stops.into())
}
