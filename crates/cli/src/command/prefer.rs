//! `step-train prefer`: preference training on step pairs.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, MODEL, OPTIMISATION, PAIRWISE, RUNTIME};
use crate::exit::Outcome;
use crate::session::{OutputFlags, Session};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use espalier_rounds::stage::policy_folder::PolicyFolder;
use espalier_rounds::stage::train::{Training, work_folder};
use std::path::PathBuf;

/// Flags of `step-train prefer`.
#[derive(Args)]
pub struct PreferArgs {
    /// The policy to start from, which is also the reference
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Pairs: a folder of mcts-gen, its ranked_lists.jsonl, or a Parquet or JSON file, or a folder of such, of which the texts
    /// prompt, chosen and rejected suffice
    #[arg(long, value_name = "PATH")]
    pairs: PathBuf,
    /// More pairs that are only looked at, see --eval-every
    #[arg(long, value_name = "PATH")]
    held_out: Option<PathBuf>,
    /// The policy to make; metrics go to DIR-train
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<PreferArgs>,
}

impl Keys for PreferArgs {
    const FLAGS: &'static [Group] = &[
        COMMON,
        RUNTIME,
        group(
            "prefer",
            &[
                flag("loss"),
                flag("parameters").named("set"),
                flag("sft_weight"),
                flag("credit"),
                flag("solution_q_scale"),
                flag("held_out_fraction"),
                flag("append_eos"),
            ],
        ),
        group("prefer.train", &OPTIMISATION),
        group("prefer.train", &MODEL),
        group("prefer.train", &PAIRWISE),
    ];
}

/// Runs the command.
pub fn run(args: &PreferArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
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
