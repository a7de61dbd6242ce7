//! How candidates are drawn: the limits on the sampled distribution, and the generator of each candidate.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
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
    /// What a model in this process computes in. With bfloat16, sampling takes half the memory and less time; what was
    /// sampled then counts as that of another policy than the float32 one, since its log-probabilities differ by some
    /// hundredths.
    ///
    /// Float32 is not written out, so that a search which was begun before there was a choice goes on.
    #[serde(skip_serializing_if = "is_float32")]
    pub precision: Precision,
}

/// What weights, activations, keys and values of a sampling model are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    Float32,
    /// 16 bits with the exponents of float32; norms, softmax and log-probabilities are computed in float32 all the same.
    Bfloat16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_float32(precision: &Precision) -> bool {
    *precision == Precision::Float32
}

/// A limit out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, but must be {range}")]
pub struct SamplingError {
    /// The limit.
    pub name: &'static str,
    /// Its value.
    pub value: f32,
    /// The range.
    pub range: &'static str,
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
    /// The first value out of its range.
    pub fn validate(&self) -> Result<(), SamplingError> {
        let wrong = |name, value: f32, range| Err(SamplingError { name, value, range });
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

/// The generator of one candidate: ChaCha8 with the request's seed as key and the candidate's place as stream.
pub fn candidate_generator(seed: u64, place: usize) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(place as u64);
    generator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_out_of_range_is_named() {
        assert!(SamplingConfig::default().validate().is_ok());
        let bad = [
            SamplingConfig { top_p: 0.0, ..SamplingConfig::default() },
            SamplingConfig { top_p: f32::NAN, ..SamplingConfig::default() },
            SamplingConfig { min_p: 1.0, ..SamplingConfig::default() },
            SamplingConfig { repetition_penalty: 0.0, ..SamplingConfig::default() },
        ];
        let names = ["top_p", "top_p", "min_p", "repetition_penalty"];
        for (sampling, name) in bad.into_iter().zip(names) {
            let error = sampling.validate().unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let error = SamplingConfig { top_p: 1.5, ..SamplingConfig::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "top_p is 1.5, but must be above 0 and at most 1");
    }

    #[test]
    fn the_default_precision_is_not_written_out() {
        let text = |sampling: &SamplingConfig| toml::to_string(sampling).unwrap();
        let default = "top_k = 0\ntop_p = 1.0\nmin_p = 0.0\nrepetition_penalty = 1.0\n";
        assert_eq!(text(&SamplingConfig::default()), default);
        let half = SamplingConfig { precision: Precision::Bfloat16, ..SamplingConfig::default() };
        assert_eq!(text(&half), format!("{default}precision = \"bfloat16\"\n"));
        assert_eq!(toml::from_str::<SamplingConfig>(&text(&half)).unwrap(), half);
        assert!(toml::from_str::<SamplingConfig>("top_q = 1").is_err());
    }
}
