//! `step-train prefer`: preference training on step pairs.

use super::flags::{CommonFlags, PreferTrainFlags, number};
use super::{ConfigFile, configure};
use crate::exit::Outcome;
use crate::run::config::RunConfig;
use crate::session::{OutputFlags, Session};
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::train::{Training, work_folder};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use espalier_files::ensure_creatable;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Flags of `step-train prefer`.
#[derive(Args, Clone, Debug)]
pub struct PreferArgs {
    /// The policy to start from, which is also the reference
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Pairs: a folder of mcts-gen, its ranked_lists.jsonl, or a Parquet or JSONL file, of which the texts prompt, chosen and
    /// rejected suffice
    #[arg(long, value_name = "PATH")]
    pairs: PathBuf,
    /// More pairs that are only looked at, see --eval-every
    #[arg(long, value_name = "PATH")]
    held_out: Option<PathBuf>,
    /// The policy to make; metrics go to DIR-train
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A parameter of the objective, as in --set beta=0.1; may be given again
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    parameters: Vec<(String, f64)>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct Flags {
    #[command(flatten)]
    #[serde(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    prefer: PreferFlags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct PreferFlags {
    /// Objective [default: step_apo]
    #[arg(long)]
    loss: Option<String>,
    #[arg(skip)]
    parameters: Option<BTreeMap<String, f64>>,
    /// Weight of an added supervised term on the chosen step [default: 0]
    #[arg(long, value_parser = number::<f64>)]
    sft_weight: Option<f64>,
    /// Factor on the Q of solution pairs [default: 0.3]
    #[arg(long, value_parser = number::<f32>)]
    solution_q_scale: Option<f32>,
    /// Hold out this share of the pairs, whole trees or prompts of them [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = number::<f64>)]
    held_out_fraction: Option<f64>,
    /// Whether steps given as text get the tokenizer's end-of-text token [default: true]
    #[arg(long, value_name = "BOOL")]
    append_eos: Option<bool>,
    #[command(flatten)]
    train: PreferTrainFlags,
}

fn assignment(text: &str) -> Result<(String, f64)> {
    let (name, value) = text.split_once('=').ok_or_else(|| anyhow!("write NAME=VALUE"))?;
    Ok((name.to_owned(), value.parse().with_context(|| format!("{value:?} is not a number"))?))
}

/// Runs the command.
pub fn run(args: &PreferArgs) -> Result<Outcome> {
    let mut flags = args.flags.clone();
    flags.prefer.parameters = Some(args.parameters.iter().cloned().collect());
    let config = configure(&RunConfig::default(), &args.file, &flags)?;
    PolicyFolder::open(&args.policy)?;
    ensure_creatable(&args.out)?;
    let training = Training { title: "prefer", policy: &args.policy, out: &args.out, work: &work_folder(&args.out) };
    Ok(Outcome::from_failed(
        training
            .prefer(&args.pairs, args.held_out.as_deref(), &Session::new(args.output).context(&config))?
            .skipped
            .len(),
    ))
}
