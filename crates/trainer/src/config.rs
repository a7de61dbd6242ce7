//! How long, how fast and in which order to train.

use espalier_settings::range::{above, at_least, between, each_of};
use espalier_settings::{OutOfRange, choices, settings};

/// Names of all objectives, in the order of their registry; they are known also where no objective is compiled.
pub const LOSSES: [&str; 26] = [
    "step_apo",
    "step_dpo",
    "dpo",
    "cdpo",
    "mcts_dpo",
    "robust",
    "hinge",
    "ipo",
    "simpo",
    "ln_dpo",
    "slic",
    "orpo",
    "cpo",
    "f_dpo_forward_kl",
    "f_dpo_js",
    "f_dpo_alpha",
    "sppo_hard",
    "sppo_soft",
    "nca",
    "exo",
    "apo_zero",
    "apo_down",
    "plackett_luce",
    "lipo_lambda",
    "tpo",
    "gspo",
];

choices! {
    /// What weights, activations and gradients are.
    #[derive(Default)]
    pub enum Precision {
        /// 32 bits.
        #[default]
        Float32 = "float32",
        /// 16 bits with the exponents of float32; norms, softmax and log-probabilities are computed in float32 all the same.
        Bfloat16 = "bfloat16",
    }
}

settings! {
    /// Optimisation of one training stage.
    pub struct TrainConfig {
        /// Peak learning rate.
        pub learning_rate: f64 = 1e-5, above(0);
        /// Passes over the examples.
        pub epochs: u32 = 1, at_least(1);
        /// Examples an optimiser step.
        pub batch_size: usize = 32, at_least(1);
        /// Most tokens of one forward pass; larger batches are done in parts whose gradients are summed.
        ///
        /// Padding counts.
        pub micro_batch_tokens: usize = 4096, at_least(1);
        /// Share of the steps in which the learning rate rises from 0 to its peak.
        pub warmup_fraction: f64 = 0.1, between(0, 1);
        /// Learning rate after the warm-up.
        pub schedule: Schedule = Schedule::Cosine;
        /// Decoupled weight decay of the weight matrices; norms, biases and the value head have none.
        pub weight_decay: f64 = 0.0, at_least(0);
        /// Gradients are scaled down to this global norm; 0 leaves them.
        pub max_grad_norm: f64 = 1.0, at_least(0);
        /// Decides the order of the examples.
        pub seed: u64 = 0;
        /// Order of the examples; if left out, that of a curriculum that arranged them, else shuffled.
        ///
        /// Whoever trains knows whether they were arranged; to the trainer, left out is [`Order::Shuffled`].
        pub order: Option<Order> = None;
        /// Layout of the steps below one prefix in a batch; both give a batch the same loss.
        ///
        /// Packed, a shuffled order also keeps the steps of one tree in one batch: fewer tokens are read, and the batches are
        /// of fewer trees.
        pub layout: Layout = Layout::Packed;
        /// Seconds between two saved states; 0 saves after every step.
        pub save_every_s: f64 = 60.0, at_least(0);
        /// Parameters that stay as they are: names, in which * stands for any text, as in model.layers.0.*.
        pub freeze: Vec<String> = Vec::new();
        /// What the model computes in; masters in the optimiser, and the policy that is saved, are float32 in any case.
        ///
        /// A step at a low learning rate is less than half the distance between two bfloat16 numbers: saved rounded, it would
        /// be lost between two stages.
        pub precision: Precision = Precision::Float32;
        /// Compute each layer again in the backward pass: less memory, a third more work.
        ///
        /// Only what enters each layer is kept.
        pub gradient_checkpointing: bool = false;
        /// Optimiser steps between two looks at the held-out pairs; 0 looks after each epoch.
        pub eval_every: u64 = 0;
        /// Stop after so many looks in a row without a lower held-out loss, and keep the best parameters; 0 never stops.
        pub patience: u32 = 0;
        /// Low-rank adapters instead of the parameters themselves.
        pub lora: LoraConfig = LoraConfig::default();
    }
    together: TrainConfig::lora_freezes_alone;
}

/// The linear maps of a layer, by Hugging Face's names.
const LINEAR_MAPS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

settings! {
    /// Low-rank adapters (LoRA, arXiv:2106.09685). They are saved in PEFT's format and merged into the policy.
    pub struct LoraConfig {
        /// Train adapters of this rank instead of the parameters themselves; 0 is off.
        ///
        /// They are merged into the policy, and lie in its folder `adapter/` for PEFT.
        pub rank: usize = 0;
        /// The adapters' output is multiplied by alpha / rank.
        pub alpha: f64 = 16.0, above(0);
        /// Linear maps that get one.
        pub targets: Vec<String> = LINEAR_MAPS.map(str::to_owned).to_vec(), each_of(LINEAR_MAPS);
    }
}

choices! {
    /// The learning rate after the warm-up.
    pub enum Schedule {
        /// Stays at the peak.
        Constant = "constant",
        /// Falls to 0 in a straight line.
        Linear = "linear",
        /// Falls to 0 in half a cosine.
        Cosine = "cosine",
    }
}

choices! {
    /// Which examples come when.
    #[derive(Default)]
    pub enum Order {
        /// At random, anew in each epoch.
        ///
        /// Examples of like length share a batch, and so do those of one tree where they are packed, because they share its
        /// tokens.
        #[default]
        Shuffled = "shuffled",
        /// As they were given: for a curriculum, give the easy ones first.
        AsGiven = "as_given",
    }
}

choices! {
    /// How the steps below one prefix are laid out in a batch; both give a batch the same loss.
    pub enum Layout {
        /// All steps of a tree in one row, in which each distinct token stands once and sees what comes before it in the tree.
        Packed = "packed",
        /// One row a step: the prefix, then the step.
        Padded = "padded",
    }
}

impl TrainConfig {
    fn lora_freezes_alone(&self) -> Result<(), OutOfRange> {
        if self.lora.rank > 0 && !self.freeze.is_empty() {
            let given = self.freeze.join(",");
            return Err(OutOfRange::new("freeze", given, "empty with lora, which freezes all parameters"));
        }
        Ok(())
    }

    /// Optimiser steps over `examples` examples.
    pub fn total_steps(&self, examples: usize) -> u64 {
        u64::from(self.epochs) * examples.div_ceil(self.batch_size) as u64
    }

    /// The learning rate of `step`, counted from 0, of `total` steps. The first step of a warm-up of n steps has 1/n of
    /// the peak.
    pub fn learning_rate_at(&self, step: u64, total: u64) -> f64 {
        let warmup = (self.warmup_fraction * total as f64).ceil() as u64;
        if step < warmup {
            return self.learning_rate * (step + 1) as f64 / warmup as f64;
        }
        let progress = (step - warmup) as f64 / (total - warmup).max(1) as f64;
        self.learning_rate
            * match self.schedule {
                Schedule::Constant => 1.0,
                Schedule::Linear => 1.0 - progress,
                Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_fall() {
        let config = |schedule| TrainConfig { learning_rate: 2.0, schedule, ..TrainConfig::default() };
        let rates = |schedule| (0..20).map(|step| config(schedule).learning_rate_at(step, 20)).collect::<Vec<_>>();
        let cosine = rates(Schedule::Cosine);
        assert_eq!(cosine[..3], [1.0, 2.0, 2.0]); // two warm-up steps, then the peak
        assert!((cosine[11] - 1.0).abs() < 1e-12); // half way down
        assert!(cosine[19] > 0.0 && cosine[19] < 0.02);
        assert!(cosine[2..].windows(2).all(|w| w[0] > w[1]));
        assert!((rates(Schedule::Linear)[11] - 1.0).abs() < 1e-12);
        assert!(rates(Schedule::Constant)[1..].iter().all(|&rate| (rate - 2.0).abs() < 1e-12));
    }

    #[test]
    fn warm_up_may_fill_the_whole_run() {
        let config = TrainConfig { learning_rate: 1.0, warmup_fraction: 1.0, ..TrainConfig::default() };
        assert!((config.learning_rate_at(0, 4) - 0.25).abs() < 1e-12);
        assert!((config.learning_rate_at(3, 4) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn names_the_field_that_is_out_of_range() {
        let config = TrainConfig { warmup_fraction: f64::NAN, ..TrainConfig::default() };
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "warmup_fraction is NaN, but must be between 0 and 1");
    }
}
