//! `step-train value`: regression of the value head on the Q of stored trees.

use super::flags::{CommonFlags, TrainFlags};
use super::{ConfigFile, configure};
use crate::exit::Outcome;
use crate::run::config::RunConfig;
use crate::session::{OutputFlags, Session};
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::train::{Training, work_folder};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use serde::Serialize;
use std::path::PathBuf;

/// Flags of `step-train value`.
#[derive(Args, Clone, Debug)]
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
    value: TrainFlags,
}

/// Runs the command.
pub fn run(args: &ValueArgs) -> Result<Outcome> {
    let config = configure(&RunConfig::default(), &args.file, &args.flags)?;
    PolicyFolder::open(&args.policy)?;
    ensure_creatable(&args.out)?;
    let training = Training { title: "value", policy: &args.policy, out: &args.out, work: &work_folder(&args.out) };
    Ok(Outcome::from_failed(training.value(&args.trees, &Session::new(args.output).context(&config))?.skipped.len()))
}
