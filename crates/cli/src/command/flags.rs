//! Flags that several commands share. Field and table names are the configuration's: that is how a flag finds its key.

use clap::Args;
use serde::Serialize;
use std::str::FromStr;

/// Reads a number. NaN is none: it would pass for a flag that was not given.
pub fn number<T: FromStr + Copy + Into<f64>>(text: &str) -> Result<T, String> {
    match text.parse::<T>() {
        Ok(number) if !number.into().is_nan() => Ok(number),
        _ => Err("not a number".to_owned()),
    }
}

/// Seed, prompts, device.
#[derive(Args, Clone, Debug, Serialize)]
pub struct CommonFlags {
    /// Seed of everything random [default: 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Prompt format, instruct or xml [default: the policy folder's own, else instruct]
    #[arg(long)]
    pub format: Option<String>,
    /// What one step is, plan or step [default: the policy folder's own, else plan]
    #[arg(long)]
    pub granularity: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print the text as a flag's help")]
    pub runtime: RuntimeFlags,
}

/// Table `runtime`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct RuntimeFlags {
    /// cpu, cuda or cuda:N [default: cpu]
    #[arg(long)]
    pub device: Option<String>,
    /// Threads of LibTorch; 0 takes every core [default: 0]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Sequences decoded at the same time; with servers, requests to them [default: 96]
    #[arg(long)]
    pub max_rows: Option<usize>,
}

/// Table `sampling`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct SamplingFlags {
    /// Sample among this many likeliest tokens; 0 is off [default: 0]
    #[arg(long)]
    pub top_k: Option<usize>,
    /// Sample among the fewest likeliest tokens that hold this share of the probability; 1 is off [default: 1]
    #[arg(long, value_parser = number::<f32>)]
    pub top_p: Option<f32>,
    /// Sample only tokens at least this many times as likely as the likeliest; 0 is off [default: 0]
    #[arg(long, value_parser = number::<f32>)]
    pub min_p: Option<f32>,
    /// Factor against tokens that are there already; 1 is off [default: 1]
    #[arg(long, value_parser = number::<f32>)]
    pub repetition_penalty: Option<f32>,
    /// What the model computes in: float32, or bfloat16, which is faster and takes half the memory [default: float32]
    #[arg(long)]
    pub precision: Option<String>,
}

/// Table `pairs`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct PairFlags {
    /// Which siblings make a pair: sign, margin, best_worst, all, first_error, reward_to_go, mcts_dpo or ranked [default:
    /// sign]
    #[arg(long)]
    pub rule: Option<String>,
    /// Least Q(chosen) - Q(rejected)
    #[arg(long, value_name = "Q", value_parser = number::<f64>)]
    pub min_margin: Option<f64>,
    /// Least visits of either step
    #[arg(long, value_name = "N")]
    pub min_visits: Option<u32>,
    /// At most this many pairs of a problem
    #[arg(long, value_name = "N")]
    pub max_pairs_per_problem: Option<usize>,
    /// As many pairs of each kind of step as of the rarest [default: false]
    #[arg(long, value_name = "BOOL")]
    pub balance: Option<bool>,
    /// Order of the pairs: none, margin (largest first) or depth [default: none]
    #[arg(long, value_name = "NAME")]
    pub curriculum: Option<String>,
}

/// The optimisation of one training stage.
#[derive(Args, Clone, Debug, Serialize)]
pub struct TrainFlags {
    /// Peak learning rate
    #[arg(long, value_parser = number::<f64>)]
    pub learning_rate: Option<f64>,
    /// Passes over the examples
    #[arg(long)]
    pub epochs: Option<u32>,
    /// Examples an optimiser step
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Schedule after the warm-up: constant, linear or cosine
    #[arg(long)]
    pub schedule: Option<String>,
    /// Share of the steps in which the learning rate rises
    #[arg(long, value_name = "SHARE", value_parser = number::<f64>)]
    pub warmup_fraction: Option<f64>,
    /// Decoupled weight decay
    #[arg(long, value_parser = number::<f64>)]
    pub weight_decay: Option<f64>,
    /// Gradients are scaled down to this norm
    #[arg(long, value_name = "NORM", value_parser = number::<f64>)]
    pub max_grad_norm: Option<f64>,
}

/// What of the model is trained, and how it computes.
#[derive(Args, Clone, Debug, Serialize)]
pub struct ModelFlags {
    /// Most tokens of one forward pass; larger batches are done in parts whose gradients are summed [default: 4096]
    #[arg(long, value_name = "TOKENS")]
    pub micro_batch_tokens: Option<usize>,
    /// Leave these parameters as they are: a name, in which * stands for any text; may be given again
    #[arg(long, value_name = "PATTERN")]
    pub freeze: Option<Vec<String>>,
    /// float32, or bfloat16 with float32 masters in the optimiser [default: float32]
    #[arg(long)]
    pub precision: Option<String>,
    /// Compute each layer again in the backward pass: less memory, a third more work
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub gradient_checkpointing: Option<bool>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print the text as a flag's help")]
    pub lora: LoraFlags,
}

/// Table `lora` of a training stage.
#[derive(Args, Clone, Debug, Serialize)]
pub struct LoraFlags {
    /// Train adapters of this rank instead; they are merged into the policy and saved in its folder adapter/ for PEFT
    #[arg(long = "lora-rank", value_name = "RANK")]
    pub rank: Option<usize>,
    /// The adapters' output is multiplied by ALPHA / RANK [default: 16]
    #[arg(long = "lora-alpha", value_name = "ALPHA", value_parser = number::<f64>)]
    pub alpha: Option<f64>,
    /// Linear maps that get one, with commas between [default: all seven of a layer]
    #[arg(long = "lora-targets", value_name = "NAMES", value_delimiter = ',')]
    pub targets: Option<Vec<String>>,
}

/// When held-out pairs are looked at, and what follows.
#[derive(Args, Clone, Debug, Serialize)]
pub struct LookFlags {
    /// Optimiser steps between two looks at the held-out pairs; 0 looks after each epoch [default: 0]
    #[arg(long, value_name = "STEPS")]
    pub eval_every: Option<u64>,
    /// Stop after so many looks in a row without a lower held-out loss, and keep the best parameters; 0 never stops
    /// [default: 0]
    #[arg(long, value_name = "LOOKS")]
    pub patience: Option<u32>,
}

/// Table `prefer.train`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct PreferTrainFlags {
    #[command(flatten)]
    #[serde(flatten)]
    #[allow(missing_docs, reason = "clap would print the text as a flag's help")]
    pub train: TrainFlags,
    #[command(flatten)]
    #[serde(flatten)]
    #[allow(missing_docs, reason = "clap would print the text as a flag's help")]
    pub model: ModelFlags,
    #[command(flatten)]
    #[serde(flatten)]
    #[allow(missing_docs, reason = "clap would print the text as a flag's help")]
    pub look: LookFlags,
}
