//! `step-train round`: the next round of a run, or all up to a number.

use super::config_args::{ConfigArgs, Keys};
use super::flag::Group;
use super::keys::RUNTIME_OF_SEARCH;
use crate::exit::Outcome;
use crate::session::{OutputFlags, Session};
use anyhow::{Result, bail};
use clap::{ArgMatches, Args};
use espalier_rounds::config::RunConfig;
use espalier_rounds::run::folder::RunFolder;
use espalier_rounds::run::round;
use std::path::PathBuf;

/// Flags of `step-train round`.
#[derive(Args)]
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
    /// Go on with settings that were edited in the run's config.toml since its last round
    #[arg(long)]
    accept_changes: bool,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<RoundArgs>,
}

impl Keys for RoundArgs {
    const FLAGS: &'static [Group] = &[RUNTIME_OF_SEARCH];

    /// They are the run's.
    fn defaults() -> Option<RunConfig> {
        None
    }

    fn base(given: &ArgMatches) -> Result<RunConfig> {
        let Some(run) = given.get_one::<PathBuf>("run") else { bail!("give --run, whose configuration it is") };
        RunFolder::open(run)?.config()
    }
}

/// Runs the command.
pub fn run(args: &RoundArgs) -> Result<Outcome> {
    let folder = RunFolder::open(&args.run)?;
    let own = folder.config()?;
    let config = args.config.over(&own)?;
    if let Some(key) = config.decided_otherwise(&own)? {
        bail!(
            "--config changes {key} of the run; of a run's settings only those in [runtime] and [serving] may differ between rounds"
        );
    }
    let next = folder.finished()?.len() as u32;
    let edited = round::edited(&folder, next, &config)?;
    if !edited.is_empty() && !args.accept_changes {
        bail!(
            "{} was edited since round {}: {}; give --accept-changes to go on with these settings, or undo them",
            folder.config_path().display(),
            next - 1,
            edited.join(", ")
        );
    }
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
