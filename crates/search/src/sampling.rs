//! How candidates are drawn: the limits on the sampled distribution, and the generator of each candidate.

use espalier_settings::range::{above, above_and_at_most, at_least_and_below};
use espalier_settings::{choices, settings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

choices! {
    /// What weights, activations, keys and values of a sampling model are.
    #[derive(Default)]
    pub enum Precision {
        /// 32 bits.
        #[default]
        Float32 = "float32",
        /// 16 bits with the exponents of float32; norms, softmax and log-probabilities are computed in float32 all the same.
        Bfloat16 = "bfloat16",
    }
}

choices! {
    /// What is promised of the last bits of what a model on this machine computes.
    #[derive(Default)]
    pub enum Numerics {
        /// Invariant on the processor, fast on other devices.
        #[default]
        Auto = "auto",
        /// The same bits whatever else is computed beside a request; on the processor only.
        Invariant = "invariant",
        /// Whole products of LibTorch, whose last bits depend on the batch.
        Fast = "fast",
    }
}

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
        /// What is promised of the last bits: invariant is the same bits whatever is sampled beside a request, fast is not; auto is invariant on the processor and fast elsewhere.
        #[serde(skip_serializing_if = "is_auto")]
        pub numerics: Numerics = Numerics::Auto;
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_float32(precision: &Precision) -> bool {
    *precision == Precision::Float32
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_auto(numerics: &Numerics) -> bool {
    *numerics == Numerics::Auto
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
        assert!(SamplingConfig::default().check().is_ok());
        let bad = [
            SamplingConfig { top_p: 0.0, ..SamplingConfig::default() },
            SamplingConfig { top_p: f32::NAN, ..SamplingConfig::default() },
            SamplingConfig { min_p: 1.0, ..SamplingConfig::default() },
            SamplingConfig { repetition_penalty: 0.0, ..SamplingConfig::default() },
        ];
        let names = ["top_p", "top_p", "min_p", "repetition_penalty"];
        for (sampling, name) in bad.into_iter().zip(names) {
            let error = sampling.check().unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let error = SamplingConfig { top_p: 1.5, ..SamplingConfig::default() }.check().unwrap_err();
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
