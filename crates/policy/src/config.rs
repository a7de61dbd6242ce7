//! What a policy is set up with.

use crate::error::ModelPolicyError;
use espalier_model::Precision;
use serde::{Deserialize, Serialize};

/// Precision of the model and limits on the sampled distribution. The temperature comes with each request; 0 is greedy
/// decoding, for which of the limits only the repetition penalty has a meaning. The defaults change nothing, as in the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingConfig {
    /// Sample among this many likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Sample among the fewest likeliest tokens that hold this share of the probability; 1 is off
    /// (arXiv:1904.09751).
    pub top_p: f32,
    /// Sample only tokens at least this many times as likely as the likeliest; 0 is off (arXiv:2407.01082).
    pub min_p: f32,
    /// Divide positive and multiply negative logits of all tokens of the prefix and the row by this; 1 is off
    /// (arXiv:1909.05858).
    pub repetition_penalty: f32,
    /// What the model computes in. With bfloat16, sampling takes half the memory and less time; what was sampled then counts
    /// as that of another policy than the float32 one, since its log-probabilities differ by some hundredths.
    ///
    /// Float32 is not written out, so that a search which was begun before there was a choice goes on.
    #[serde(skip_serializing_if = "is_float32")]
    pub precision: Precision,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_float32(precision: &Precision) -> bool {
    *precision == Precision::Float32
}

impl Default for SamplingConfig {
    fn default() -> Self {
        SamplingConfig { top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, precision: Precision::Float32 }
    }
}

impl SamplingConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`ModelPolicyError::Config`] with the first value out of its range.
    pub fn validate(&self) -> Result<(), ModelPolicyError> {
        let wrong = |name, value: f32, range| Err(ModelPolicyError::Config { name, value: f64::from(value), range });
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top_p", self.top_p, "above 0 and at most 1");
        }
        if !(self.min_p >= 0.0 && self.min_p < 1.0) {
            return wrong("min_p", self.min_p, "at least 0 and below 1");
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return wrong("repetition_penalty", self.repetition_penalty, "above 0 and finite");
        }
        Ok(())
    }
}

/// How a [`ModelPolicy`](crate::ModelPolicy) decodes.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyConfig {
    /// Limits on the sampled distribution.
    pub sampling: SamplingConfig,
    /// Rows decoded at the same time. A request with more candidates than this is decoded alone. Decides only the
    /// speed.
    pub max_rows: usize,
    /// Prompt tokens that run through the model in one pass, all requests together, unless one chunk is longer.
    /// Decides only the speed.
    pub max_prefill_tokens: usize,
    /// Longest piece of one request's prefix in one pass. Part of what decides the last bits of results.
    pub prefill_chunk_tokens: usize,
    /// Keys and values kept for one tree, in bytes. Part of what decides the last bits of results: what was dropped is
    /// computed again, in other pieces.
    pub tree_cache_bytes: usize,
    /// Keys and values kept for all trees together, in bytes; beyond it the states go that were used longest ago, of
    /// whatever tree. A tree's results are the same in any company as long as this budget holds
    /// ([`PolicyStats::evictions`](crate::PolicyStats) counts); once it does not, what is computed again may differ in
    /// the last bits.
    pub cache_bytes: usize,
    /// Longest context in tokens; `None` takes the model's own. Never above the model's own.
    pub max_context_tokens: Option<usize>,
    /// Strings that end a step, for [`Unit::Step`](espalier_search::Unit).
    pub step_stops: Vec<String>,
    /// Strings that end a path, for [`Unit::Path`](espalier_search::Unit).
    pub path_stops: Vec<String>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        PolicyConfig {
            sampling: SamplingConfig::default(),
            max_rows: 96,
            max_prefill_tokens: 2048,
            prefill_chunk_tokens: 256,
            tree_cache_bytes: 256 << 20,
            cache_bytes: 4 << 30,
            max_context_tokens: None,
            step_stops: Vec::new(),
            path_stops: Vec::new(),
        }
    }
}

impl PolicyConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`ModelPolicyError::Config`] with the first value out of its range.
    pub fn validate(&self) -> Result<(), ModelPolicyError> {
        self.sampling.validate()?;
        let at_least_one = [
            ("max_rows", self.max_rows),
            ("max_prefill_tokens", self.max_prefill_tokens),
            ("prefill_chunk_tokens", self.prefill_chunk_tokens),
            ("max_context_tokens", self.max_context_tokens.unwrap_or(1)),
        ];
        match at_least_one.into_iter().find(|&(_, value)| value == 0) {
            Some((name, _)) => Err(ModelPolicyError::Config { name, value: 0.0, range: "at least 1" }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_out_of_range_is_named() {
        assert!(PolicyConfig::default().validate().is_ok());
        let bad = [
            SamplingConfig { top_p: 0.0, ..SamplingConfig::default() },
            SamplingConfig { top_p: f32::NAN, ..SamplingConfig::default() },
            SamplingConfig { min_p: 1.0, ..SamplingConfig::default() },
            SamplingConfig { repetition_penalty: 0.0, ..SamplingConfig::default() },
        ];
        let names = ["top_p", "top_p", "min_p", "repetition_penalty"];
        for (sampling, name) in bad.into_iter().zip(names) {
            let error = PolicyConfig { sampling, ..PolicyConfig::default() }.validate().unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let error = PolicyConfig { max_rows: 0, ..PolicyConfig::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "max_rows is 0, but must be at least 1");
    }
}
