//! One sampled continuation of a request.

use crate::sampler::{Scratch, draw, likeliest};
use espalier_search::{Candidate, Finish, SamplingConfig, StepRequest, Told, candidate_generator};
use espalier_tokenizer::{Continuation, End, Tokenizer};
use rand_chacha::ChaCha8Rng;

/// What all rows of a policy share.
pub(crate) struct RowContext<'a> {
    pub tokenizer: &'a Tokenizer,
    /// Of requests that wish for no other.
    pub sampling: &'a SamplingConfig,
}

/// What the rows of one request share.
#[derive(Clone, Copy)]
pub(crate) struct RowLimits<'a> {
    pub prefix_ids: &'a [u32],
    pub temperature: f32,
    pub max_tokens: usize,
    pub stops: &'a [String],
    /// In the place of the policy's own.
    pub sampling: Option<&'a SamplingConfig>,
    /// Likeliest tokens that are listed beside each.
    pub alternatives: usize,
}

/// One of the K rows of a request.
pub(crate) struct SampledRow {
    /// Its place among the candidates.
    pub index: usize,
    /// Its tokens; the row is finished once they have come to their end.
    pub continuation: Continuation,
    logprobs: Vec<f32>,
    /// The likeliest tokens in the place of each, if they are wished for.
    alternatives: Vec<Vec<(u32, f32)>>,
    /// Tokens that were told already.
    told: usize,
    generator: ChaCha8Rng,
    /// The logits were not finite.
    pub broken: bool,
}

impl SampledRow {
    /// `overhang` is the request's.
    pub fn new(request: &StepRequest<'_>, index: usize, overhang: &str, tokenizer: &Tokenizer) -> SampledRow {
        SampledRow {
            index,
            continuation: Continuation::new(&request.prefix_ids, overhang, tokenizer),
            logprobs: Vec::new(),
            alternatives: Vec::new(),
            told: 0,
            generator: candidate_generator(request.seed, index),
            broken: false,
        }
    }

    /// Samples the next token from `logits` `[V]`.
    pub fn advance(&mut self, logits: &[f32], limits: RowLimits, context: &RowContext, scratch: &mut Scratch) {
        let seen = limits.prefix_ids.iter().chain(self.continuation.token_ids()).copied();
        let generator = &mut self.generator;
        let choices = context.tokenizer.vocab_size().min(logits.len());
        let sampling = limits.sampling.unwrap_or(context.sampling);
        let drawn = draw(logits, choices, limits.temperature, sampling, seen, generator, scratch);
        let Some(drawn) = drawn else {
            self.broken = true;
            return;
        };
        self.logprobs.push(drawn.logprob);
        if limits.alternatives > 0 {
            self.alternatives.push(likeliest(logits, choices, limits.alternatives, scratch));
        }
        self.continuation.push(drawn.token, limits.stops, limits.max_tokens, context.tokenizer);
    }

    /// The tokens that were not told yet, and the place of the first of them.
    pub fn tell(&mut self) -> (usize, Vec<Told>) {
        let ids = self.continuation.token_ids();
        let first = self.told;
        self.told = ids.len().min(self.logprobs.len());
        let tell = |at: usize| Told {
            id: ids[at],
            logprob: self.logprobs[at],
            alternatives: self.alternatives.get(at).cloned().unwrap_or_default(),
        };
        (first, (first..self.told).map(tell).collect())
    }

    /// The finished candidate.
    pub fn into_candidate(self, tokenizer: &Tokenizer) -> Candidate {
        let finish = if self.continuation.end() == Some(End::Length) { Finish::Length } else { Finish::Stop };
        let (text, token_ids) = self.continuation.into_parts(tokenizer);
        Candidate { text, token_ids, logprobs: self.logprobs, finish }
    }
}
