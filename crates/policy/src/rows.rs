//! One sampled continuation of a request.

use crate::config::SamplingConfig;
use crate::sampler::{Scratch, draw, row_generator};
use crate::stops::TextStream;
use espalier_model::Tokenizer;
use espalier_search::{Candidate, Finish, StepRequest};
use rand_chacha::ChaCha8Rng;

/// What all rows of a policy share.
pub(crate) struct RowContext<'a> {
    pub tokenizer: &'a Tokenizer,
    pub sampling: &'a SamplingConfig,
}

/// What the rows of one request share.
#[derive(Clone, Copy)]
pub(crate) struct RowLimits<'a> {
    pub prefix_ids: &'a [u32],
    pub temperature: f32,
    pub max_tokens: usize,
    pub stops: &'a [String],
}

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowEnd {
    StopString,
    EndOfText,
    Length,
}

/// One of the K rows of a request.
pub(crate) struct Row {
    /// Its place among the candidates.
    pub index: usize,
    pub token_ids: Vec<u32>,
    logprobs: Vec<f32>,
    generator: ChaCha8Rng,
    stream: TextStream,
    /// Set once nothing more is to be sampled.
    pub end: Option<RowEnd>,
    /// The logits were not finite.
    pub broken: bool,
}

impl Row {
    pub fn new(request: &StepRequest<'_>, index: usize, tokenizer: &Tokenizer) -> Row {
        Row {
            index,
            token_ids: Vec::new(),
            logprobs: Vec::new(),
            generator: row_generator(request.seed, index),
            stream: TextStream::new(&request.prefix_ids, |ids| tokenizer.decode(ids)),
            end: None,
            broken: false,
        }
    }

    /// Samples the next token from `logits` `[V]`.
    pub fn advance(&mut self, logits: &[f32], limits: RowLimits, context: &RowContext, scratch: &mut Scratch) {
        let seen = limits.prefix_ids.iter().chain(&self.token_ids).copied();
        let generator = &mut self.generator;
        let drawn = draw(
            logits,
            context.tokenizer.vocab_size(),
            limits.temperature,
            context.sampling,
            seen,
            generator,
            scratch,
        );
        let Some(drawn) = drawn else {
            self.broken = true;
            return;
        };
        self.token_ids.push(drawn.token);
        self.logprobs.push(drawn.logprob);
        self.end = if context.tokenizer.eos_ids().contains(&drawn.token) {
            Some(RowEnd::EndOfText)
        } else if self.stream.push(drawn.token, limits.stops, |ids| context.tokenizer.decode(ids)) {
            Some(RowEnd::StopString)
        } else if self.token_ids.len() >= limits.max_tokens {
            Some(RowEnd::Length)
        } else {
            None
        };
    }

    /// The finished candidate.
    pub fn into_candidate(mut self, tokenizer: &Tokenizer) -> Candidate {
        let text = match self.end {
            Some(RowEnd::StopString) => self.stream.cut(),
            _ => self.stream.finish(|ids| tokenizer.decode(ids)),
        };
        let finish = if self.end == Some(RowEnd::Length) { Finish::Length } else { Finish::Stop };
        Candidate { text, token_ids: self.token_ids, logprobs: self.logprobs, finish }
    }
}
