//! What a policy is set up with.

use espalier_model::Precision;
use espalier_settings::range::{above, above_and_at_most, at_least, at_least_and_below};
use espalier_settings::{OutOfRange, settings};

settings! {
    /// Precision of the model and limits on the sampled distribution. The temperature comes with each request; 0 is greedy
    /// decoding, for which of the limits only the repetition penalty has a meaning. The defaults change nothing, as in the
    /// paper.
    pub struct SamplingConfig {
        /// Sample among this many likeliest tokens; 0 is off.
        pub top_k: usize = 0;
        /// Sample among the fewest likeliest tokens that hold this share of the probability; 1 is off.
        ///
        /// Nucleus sampling, arXiv:1904.09751.
        pub top_p: f32 = 1.0, above_and_at_most(0, 1);
        /// Sample only tokens at least this many times as likely as the likeliest; 0 is off.
        ///
        /// arXiv:2407.01082.
        pub min_p: f32 = 0.0, at_least_and_below(0, 1);
        /// Factor against tokens that are there already; 1 is off.
        ///
        /// Positive logits of all tokens of the prefix and the row are divided by it, negative ones multiplied
        /// (arXiv:1909.05858).
        pub repetition_penalty: f32 = 1.0, above(0);
        /// What the model computes in: float32, or bfloat16, which is faster and takes half the memory.
        ///
        /// What was sampled in bfloat16 counts as that of another policy than the float32 one, since its log-probabilities
        /// differ by some hundredths. Float32 is not written out, so that a search which was begun before there was a choice
        /// goes on.
        #[serde(skip_serializing_if = "is_float32")]
        pub precision: Precision = Precision::Float32;
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_float32(precision: &Precision) -> bool {
    *precision == Precision::Float32
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
    /// The first value out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        self.sampling.check()?;
        let at_least_one = [
            ("max_rows", self.max_rows),
            ("max_prefill_tokens", self.max_prefill_tokens),
            ("prefill_chunk_tokens", self.prefill_chunk_tokens),
            ("max_context_tokens", self.max_context_tokens.unwrap_or(1)),
        ];
        at_least_one.iter().try_for_each(|(name, value)| at_least(1).check(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_out_of_range_is_named() {
        assert!(PolicyConfig::default().check().is_ok());
        let bad = [
            SamplingConfig { top_p: 0.0, ..SamplingConfig::default() },
            SamplingConfig { top_p: f32::NAN, ..SamplingConfig::default() },
            SamplingConfig { min_p: 1.0, ..SamplingConfig::default() },
            SamplingConfig { repetition_penalty: 0.0, ..SamplingConfig::default() },
        ];
        let names = ["top_p", "top_p", "min_p", "repetition_penalty"];
        for (sampling, name) in bad.into_iter().zip(names) {
            let error = PolicyConfig { sampling, ..PolicyConfig::default() }.check().unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let error = PolicyConfig { max_rows: 0, ..PolicyConfig::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "max_rows is 0, but must be at least 1");
    }
}
