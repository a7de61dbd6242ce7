//! Tables `problems` and `model`: what `init` makes a run of.

use espalier_settings::range::between;
use espalier_settings::{OutOfRange, settings};

settings! {
    /// The generated problems of a run: how many, of which difficulty.
    pub struct ProblemsConfig {
        /// Families of the problems that are trained on and searched, and of the held-out ones like them; empty takes the six that are meant for it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub families: Vec<String> = Vec::new();
        /// Worked problems of round 0, by their number of plan steps from min_steps on; a number that is left out is 0.
        pub warm_start: Vec<usize> = vec![700, 700, 600];
        /// Share of the longer worked problems of round 0 whose solution overlooks a step.
        ///
        /// See [`GenerateConfig`](espalier_task::families::GenerateConfig).
        pub mistakes: f64 = 0.0, between(0, 1);
        /// Problems searched in each round; no two rounds share one.
        pub per_round: usize = 500;
        /// Held-out problems of the trained families.
        pub held_out: usize = 500;
        /// Further held-out problems of the trained families, which the gate between rounds looks at and no report.
        #[serde(skip_serializing_if = "is_zero")]
        pub validation: usize = 0;
        /// Problems of the families that are never trained on.
        pub out_of_domain: usize = 200;
        /// Families of the out-of-domain problems; empty takes the two that are meant for it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub out_of_domain_families: Vec<String> = Vec::new();
        /// Fewest and most plan steps of the out-of-domain problems; empty takes those of the others.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub out_of_domain_steps: Vec<u32> = Vec::new();
        /// Fewest plan steps.
        pub min_steps: u32 = 2, between(2, 10);
        /// Most plan steps.
        pub max_steps: u32 = 4, between(2, 10);
    }
    together: ProblemsConfig::steps_rise, ProblemsConfig::numbers_fit_the_steps, ProblemsConfig::others_rise;
}

settings! {
    /// Shape of a fresh policy (Llama architecture, tied embeddings).
    #[derive(Eq)]
    pub struct ModelShape {
        /// Size of the byte-pair vocabulary.
        pub vocab_size: usize = 512;
        /// Width of the residual stream.
        pub hidden_size: usize = 128;
        /// Width of the feed-forward layers.
        pub intermediate_size: usize = 384;
        /// Number of layers.
        pub layers: usize = 4;
        /// Query heads.
        pub heads: usize = 4;
        /// Key and value heads.
        pub kv_heads: usize = 2;
        /// Longest context in tokens.
        pub context: usize = 512;
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl ProblemsConfig {
    fn steps_rise(&self) -> Result<(), OutOfRange> {
        let (min, max) = (self.min_steps, self.max_steps);
        if min > max { Err(OutOfRange::new("min_steps", min, format!("at most max_steps, {max}"))) } else { Ok(()) }
    }

    fn others_rise(&self) -> Result<(), OutOfRange> {
        match self.out_of_domain_steps[..] {
            [] => Ok(()),
            [min, max] if min <= max => Ok(()),
            _ => {
                let given = format!("{:?}", self.out_of_domain_steps);
                Err(OutOfRange::new("out_of_domain_steps", given, "[fewest, most] or empty"))
            }
        }
    }

    fn numbers_fit_the_steps(&self) -> Result<(), OutOfRange> {
        let (min, max, given) = (self.min_steps, self.max_steps, self.warm_start.len());
        if given > (max - min + 1) as usize {
            let range = format!("at most one number for each difficulty, {min} to {max} steps");
            return Err(OutOfRange::new("warm_start", format!("{given} numbers"), range));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficulties_rise_and_each_has_at_most_one_number() {
        assert!(ProblemsConfig::default().check().is_ok());
        let message = |config: ProblemsConfig| config.check().unwrap_err().to_string();
        let falling = ProblemsConfig { min_steps: 4, max_steps: 3, ..ProblemsConfig::default() };
        assert_eq!(message(falling), "min_steps is 4, but must be at most max_steps, 3");
        let many = ProblemsConfig { warm_start: vec![1; 4], ..ProblemsConfig::default() };
        assert!(message(many).starts_with("warm_start is 4 numbers"));
    }
}
