//! `step-train eval`: accuracy of a policy on problems, one greedy answer each.

use super::flags::CommonFlags;
use super::{ConfigFile, configure};
use crate::exit::Outcome;
use crate::folder::ensure_creatable;
use crate::run::config::RunConfig;
use crate::run::report::table::scores;
use crate::stage::eval::{self, Group};
use crate::stage::policy_folder::PolicyFolder;
use anyhow::{Result, bail};
use clap::Args;
use espalier_task::load_problems;
use serde::Serialize;
use std::path::PathBuf;

/// Flags of `step-train eval`.
#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// The policy
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Problems: JSONL, a JSON array or Parquet
    #[arg(long, value_name = "FILE")]
    problems: PathBuf,
    /// Take only the first N problems
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The report to write, as JSON
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
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
    eval: EvalFlags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct EvalFlags {
    /// Most tokens of one answer [default: 512]
    #[arg(long)]
    max_tokens: Option<usize>,
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<Outcome> {
    let config = configure(&RunConfig::default(), &args.file, &args.flags)?;
    PolicyFolder::open(&args.policy)?;
    let problems = load_problems(&args.problems, args.limit)?;
    ensure_creatable(&args.out)?;
    if args.out.exists() {
        bail!("{} exists already; choose another --out or remove it", args.out.display());
    }
    let name = args.problems.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let group = Group { name, problems: &problems };
    let report = eval::run(&[group], &args.policy, &args.out, "eval", &config)?;
    print!("{}", scores(&report));
    Ok(Outcome::Clean)
}
