//! How long, how fast and in which order to train.

use crate::TrainerError;
use espalier_model::Precision;
use serde::{Deserialize, Serialize};

/// Optimisation of one training stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Passes over the examples.
    pub epochs: u32,
    /// Examples an optimiser step.
    pub batch_size: usize,
    /// Most tokens (padding included) in one forward pass; a larger batch is done in parts whose gradients are summed.
    pub micro_batch_tokens: usize,
    /// Share of the steps in which the learning rate rises from 0 to its peak.
    pub warmup_fraction: f64,
    /// The learning rate after the warm-up.
    pub schedule: Schedule,
    /// Decoupled weight decay of the weight matrices; norms, biases and the value head have none.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 leaves them.
    pub max_grad_norm: f64,
    /// Decides the order of the examples.
    pub seed: u64,
    /// Which examples come when.
    pub order: Order,
    /// How steps below one prefix are laid out.
    pub layout: Layout,
    /// Seconds between two saved states; 0 saves after every step.
    pub save_every_s: f64,
    /// Parameters that stay as they are: names, in which `*` stands for any text, as in `model.layers.0.*`.
    pub freeze: Vec<String>,
    /// What the model computes in, and is saved as; the optimiser's own numbers, masters of the parameters among them, are
    /// float32 in any case.
    pub precision: Precision,
    /// Keeps only what enters each layer for the backward pass and computes the rest again: less memory, a third more
    /// work.
    pub gradient_checkpointing: bool,
    /// Optimiser steps between two looks at the held-out pairs; 0 looks after each epoch.
    pub eval_every: u64,
    /// Stops when the held-out loss has not fallen in so many looks in a row, and goes back to the best parameters; 0
    /// never stops.
    pub patience: u32,
    /// Trains adapters of low rank instead of the parameters themselves.
    pub lora: LoraConfig,
}

/// Low-rank adapters (LoRA, arXiv:2106.09685). They are saved in PEFT's format and merged into the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank; 0 trains the parameters themselves.
    pub rank: usize,
    /// The adapters' output is multiplied by alpha / rank.
    pub alpha: f64,
    /// The linear maps that get one: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`.
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        LoraConfig { rank: 0, alpha: 16.0, targets: targets.map(str::to_owned).to_vec() }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            learning_rate: 1e-5,
            epochs: 1,
            batch_size: 32,
            micro_batch_tokens: 4096,
            warmup_fraction: 0.1,
            schedule: Schedule::Cosine,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            seed: 0,
            order: Order::Shuffled,
            layout: Layout::Packed,
            save_every_s: 60.0,
            freeze: Vec::new(),
            precision: Precision::Float32,
            gradient_checkpointing: false,
            eval_every: 0,
            patience: 0,
            lora: LoraConfig::default(),
        }
    }
}

/// The learning rate after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at the peak.
    Constant,
    /// Falls to 0 in a straight line.
    Linear,
    /// Falls to 0 in half a cosine.
    Cosine,
}

/// Which examples come when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// At random, anew in each epoch; examples of like length share a batch, and so do those of one tree where they are
    /// packed, because they share its tokens.
    Shuffled,
    /// As they were given: for a curriculum, give the easy ones first.
    AsGiven,
}

/// How the steps below one prefix are laid out in a batch; both give the same losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// All steps of a tree in one row, in which each distinct token stands once and sees what comes before it in the tree.
    Packed,
    /// One row a step: the prefix, then the step.
    Padded,
}

impl TrainConfig {
    /// Says which field is out of range, if one is.
    pub fn check(&self) -> Result<(), TrainerError> {
        let bad = |field, value: String, must| Err(TrainerError::BadConfig { field, value, must });
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return bad("learning_rate", self.learning_rate.to_string(), "a positive number");
        }
        if self.epochs == 0 {
            return bad("epochs", self.epochs.to_string(), "at least 1");
        }
        if self.batch_size == 0 {
            return bad("batch_size", self.batch_size.to_string(), "at least 1");
        }
        if self.micro_batch_tokens == 0 {
            return bad("micro_batch_tokens", self.micro_batch_tokens.to_string(), "at least 1");
        }
        if !(0.0..=1.0).contains(&self.warmup_fraction) {
            return bad("warmup_fraction", self.warmup_fraction.to_string(), "between 0 and 1");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return bad("weight_decay", self.weight_decay.to_string(), "zero or a positive number");
        }
        if !(self.max_grad_norm.is_finite() && self.max_grad_norm >= 0.0) {
            return bad("max_grad_norm", self.max_grad_norm.to_string(), "zero or a positive number");
        }
        if self.lora.rank > 0 && !(self.lora.alpha.is_finite() && self.lora.alpha > 0.0) {
            return bad("lora.alpha", self.lora.alpha.to_string(), "a positive number");
        }
        if self.lora.rank > 0 && !self.freeze.is_empty() {
            return bad("freeze", format!("{:?}", self.freeze), "empty with lora, which freezes all parameters");
        }
        if !(self.save_every_s.is_finite() && self.save_every_s >= 0.0) {
            return bad("save_every_s", self.save_every_s.to_string(), "zero or a positive number of seconds");
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
        assert_eq!(error, "warmup_fraction is NaN; it must be between 0 and 1");
    }
}
