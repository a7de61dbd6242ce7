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
    /// Sequences decoded at the same time [default: 96]
    #[arg(long)]
    pub max_rows: Option<usize>,
}

/// Table `pairs`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct PairFlags {
    /// Which siblings make a pair: sign, margin, best_worst, all or first_error [default: sign]
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
