//! How likely a model finds given texts, and what it thinks of where they end.

use crate::error::ModelPolicyError;
use crate::sampler::{Scratch, logprob};
use espalier_model::{DecodeGroup, Decoder, ModelError, Numerics, Transformer};

/// Longest piece of one text in one pass.
const CHUNK_TOKENS: usize = 256;
/// Texts that are read at the same time.
const TEXTS: usize = 8;
/// Rows whose logits are made at a time.
const LOGIT_ROWS: usize = 64;

/// A text to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scoring {
    /// The prompt and its completion.
    pub ids: Vec<u32>,
    /// Tokens of the prompt, at least 1: the first token of a text has no probability.
    pub prompt_len: usize,
}

/// What a model says about a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Natural log-probability (nats) of each token of the completion.
    pub logprobs: Vec<f32>,
    /// V(s) at the last token, in [-1, 1], where the model has a value head.
    pub value: Option<f32>,
}

/// Scores texts by the passes that also decode: the same log-probability, up to rounding, that the sampler gave the token.
///
/// # Errors
/// [`ModelPolicyError::Text`] for an empty prompt, a text that is longer than the context, an id that does not exist, and
/// logits that are not finite; nothing was run but for the last.
pub fn score(model: &Transformer, texts: &[Scoring]) -> Result<Vec<Scored>, ModelPolicyError> {
    let context = model.config().max_position_embeddings;
    let vocabulary = model.config().vocab_size;
    for (index, Scoring { ids, prompt_len }) in texts.iter().enumerate() {
        let problem = if *prompt_len == 0 || *prompt_len > ids.len() {
            format!("{prompt_len} of its {} tokens are its prompt, but a prompt has at least one", ids.len())
        } else if ids.len() > context {
            format!("it has {} tokens, more than the model's context of {context}", ids.len())
        } else if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            format!("token {id} is not among the model's {vocabulary}")
        } else {
            continue;
        };
        return Err(ModelPolicyError::Text { index, problem });
    }
    let mut scratch = Scratch::default();
    // Texts are read to their ends and dropped: the pool is as large as they are, whatever its limit.
    let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
    let mut decoder = Decoder::new(model, Numerics::of(model.device()), TEXTS * kept_bytes(model, longest))?;
    let mut scored = Vec::with_capacity(texts.len());
    for (place, batch) in texts.chunks(TEXTS).enumerate() {
        let mut readings = batch.iter().map(Reading::new).collect::<Result<Vec<_>, _>>()?;
        while readings.iter().any(|reading| reading.fed < reading.text.ids.len()) {
            read_on(&mut decoder, &mut readings, &mut scratch).map_err(|error| match error {
                Failure::NotFinite(at) => ModelPolicyError::Text {
                    index: place * TEXTS + at,
                    problem: "the model's logits hold NaN or infinity; its weights are broken".to_owned(),
                },
                Failure::Other(error) => error,
            })?;
        }
        scored.extend(readings.into_iter().map(|reading| reading.scored));
    }
    Ok(scored)
}

/// A text on its way through the model.
struct Reading<'a> {
    text: &'a Scoring,
    group: DecodeGroup,
    fed: usize,
    scored: Scored,
}

impl<'a> Reading<'a> {
    fn new(text: &'a Scoring) -> Result<Reading<'a>, ModelError> {
        let group = DecodeGroup::new(&[], 1, text.ids.len())?;
        Ok(Reading { text, group, fed: 0, scored: Scored { logprobs: Vec::new(), value: None } })
    }
}

enum Failure {
    NotFinite(usize),
    Other(ModelPolicyError),
}

impl<E: Into<ModelPolicyError>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Other(error.into())
    }
}

/// One pass: the next chunk of each text, and the probabilities of what follows its tokens.
fn read_on(decoder: &mut Decoder, readings: &mut [Reading], scratch: &mut Scratch) -> Result<(), Failure> {
    let chunk = |reading: &Reading| reading.fed..reading.text.ids.len().min(reading.fed + CHUNK_TOKENS);
    let chunks: Vec<_> = readings.iter().map(chunk).collect();
    let mut calls: Vec<_> = readings
        .iter_mut()
        .zip(&chunks)
        .filter(|(_, chunk)| !chunk.is_empty())
        .map(|(reading, chunk)| (&mut reading.group, &reading.text.ids[chunk.clone()]))
        .collect();
    let states = decoder.extend_all(&mut calls)?;
    let mut first = 0;
    for (index, (reading, chunk)) in readings.iter_mut().zip(chunks).enumerate() {
        let Scoring { ids, prompt_len } = reading.text;
        // The output at a token says what follows it.
        let wanted: Vec<usize> = chunk.clone().filter(|&at| at + 1 >= *prompt_len && at + 1 < ids.len()).collect();
        for places in wanted.chunks(LOGIT_ROWS) {
            let from = first + places[0] - chunk.start;
            let rows = decoder.logits(&states.narrow(from..from + places.len()))?;
            for (line, &at) in rows.chunks_exact(decoder.config().vocab_size).zip(places) {
                let logprob = logprob(line, ids[at + 1], scratch).ok_or(Failure::NotFinite(index))?;
                reading.scored.logprobs.push(logprob);
            }
        }
        reading.fed = chunk.end;
        first += chunk.len();
        if reading.fed == ids.len() && !chunk.is_empty() {
            reading.scored.value = decoder.values(&states.narrow(first - 1..first))?.first().copied();
        }
    }
    Ok(())
}

/// Bytes that a text's keys and values take, generously.
fn kept_bytes(model: &Transformer, tokens: usize) -> usize {
    let config = model.config();
    let numbers = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim;
    4 * numbers * (tokens + CHUNK_TOKENS)
}
