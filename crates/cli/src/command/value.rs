//! `step-train value`: regression of the value head on the Q of stored trees.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, group};
use super::keys::{COMMON, OPTIMISATION, RUNTIME};
use crate::exit::Outcome;
use crate::session::{OutputFlags, Session};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use espalier_rounds::stage::policy_folder::PolicyFolder;
use espalier_rounds::stage::train::{Training, work_folder};
use std::path::PathBuf;

/// Flags of `step-train value`.
#[derive(Args)]
pub struct ValueArgs {
    /// The policy that gets the value head; its own weights stay as they are
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Folder with the shards of a search
    #[arg(long, value_name = "DIR")]
    trees: PathBuf,
    /// The policy to make; metrics go to DIR-train
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<ValueArgs>,
}

impl Keys for ValueArgs {
    const FLAGS: &'static [Group] = &[COMMON, RUNTIME, group("value", &OPTIMISATION)];
}

/// Runs the command.
pub fn run(args: &ValueArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    PolicyFolder::open(&args.policy)?;
    ensure_creatable(&args.out)?;
    let training = Training { title: "value", policy: &args.policy, out: &args.out, work: &work_folder(&args.out) };
    Ok(Outcome::from_failed(training.value(&args.trees, &Session::new(args.output).context(&config))?.skipped.len()))
}
