//! One file a command: its flags, and how they become a configuration and a stage.

use crate::resolve::resolve;
use crate::run::config::RunConfig;
use anyhow::{Context, Result};
use clap::Args;
use espalier_files::publish_bytes;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

pub mod compare;
pub mod compare_evals;
pub mod complete;
pub mod eval;
pub mod experiment;
pub mod flags;
pub mod init;
pub mod judge;
pub mod objective;
pub mod pairs;
pub mod policy_flags;
pub mod prefer;
pub mod problems;
pub mod report;
pub mod round;
pub mod score;
pub mod search;
pub mod sft;
pub mod show;
pub mod value;

/// The file under the flags.
#[derive(Args, Clone, Debug)]
pub struct ConfigFile {
    /// TOML file with the same keys as config.toml; flags win over it.
    #[arg(long = "config", value_name = "FILE")]
    path: Option<PathBuf>,
}

/// Resolves, checks and prints the configuration of a command.
fn configure(defaults: &RunConfig, file: &ConfigFile, flags: &impl Serialize) -> Result<RunConfig> {
    let config: RunConfig = resolve(defaults, file.path.as_deref(), flags)?;
    config.validate()?;
    Ok(config)
}

/// Prints one JSON value as a line.
fn print_line(out: &mut impl Write, value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value).context("cannot encode a result")?;
    writeln!(out, "{line}").context("cannot write to the standard output")
}

/// Stores the resolved configuration beside an output.
fn store_config(folder: &Path, config: &RunConfig) -> Result<()> {
    Ok(publish_bytes(&folder.join("config.toml"), toml::to_string_pretty(config)?.as_bytes())?)
}
