//! What a policy is set up with.

use espalier_search::SamplingConfig;
use espalier_settings::OutOfRange;
use espalier_settings::range::at_least;

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
    /// Longest piece of one request's prefix in one pass: what a request that is being decoded waits for at most. Decides only
    /// the speed.
    pub prefill_chunk_tokens: usize,
    /// Memory for keys and values, in bytes: those of running requests, and what is kept of prefixes. Where it is full, what was
    /// used longest ago goes first, then the requests that began last are put back; both are computed again later.
    pub cache_bytes: usize,
    /// Threads that compute, where a [`DevicesPolicy`](crate::DevicesPolicy) has the model on the processor; 0 takes one for each
    /// core. Decides only the speed.
    pub threads: usize,
    /// Longest context in tokens; `None` takes the model's own. Never above the model's own.
    pub max_context_tokens: Option<usize>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        PolicyConfig {
            sampling: SamplingConfig::default(),
            max_rows: 96,
            max_prefill_tokens: 2048,
            prefill_chunk_tokens: 256,
            cache_bytes: 4 << 30,
            threads: 0,
            max_context_tokens: None,
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
        let sampling = SamplingConfig { min_p: 1.0, ..SamplingConfig::default() };
        let error = PolicyConfig { sampling, ..PolicyConfig::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "min_p is 1, but must be at least 0 and below 1");
        let error = PolicyConfig { max_rows: 0, ..PolicyConfig::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "max_rows is 0, but must be at least 1");
    }
}
