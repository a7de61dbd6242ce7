//! `step-train round`: the next round of a run, or all up to a number.

use super::flags::RuntimeFlags;
use crate::exit::Outcome;
use crate::resolve::resolve;
use crate::run::config::RunConfig;
use crate::run::folder::RunFolder;
use crate::run::round;
use crate::session::{OutputFlags, Session};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Flags of `step-train round`.
#[derive(Args, Clone, Debug)]
pub struct RoundArgs {
    /// The run's folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Run every round up to this one, instead of only the next
    #[arg(long, value_name = "ROUND", conflicts_with = "all")]
    until: Option<u32>,
    /// Run every round of the run
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct Flags {
    #[command(flatten)]
    runtime: RuntimeFlags,
}

/// Runs the command.
pub fn run(args: &RoundArgs) -> Result<Outcome> {
    let folder = RunFolder::open(&args.run)?;
    let config: RunConfig = resolve(&folder.config()?, None, &args.flags)?;
    config.validate()?;
    let next = folder.finished()?.len() as u32;
    let last = if args.all { config.rounds } else { args.until.unwrap_or(next) };
    let session = Session::new(args.output);
    let context = session.context(&config);
    let mut outcome = Outcome::Clean;
    for number in next..=last {
        let manifest = round::run(&folder, number, &context)?;
        outcome = outcome.and(Outcome::from_failed(manifest.failed()));
    }
    Ok(outcome)
}
