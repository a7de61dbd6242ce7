//! `step-train settings`: every key of a configuration.

use crate::exit::{Outcome, print_result};
use anyhow::Result;
use clap::Args;
use espalier_rounds::config::reference;

/// `step-train settings` has no flags.
#[derive(Args)]
pub struct SettingsArgs {}

/// Runs the command.
pub fn run(_args: &SettingsArgs) -> Result<Outcome> {
    print_result(format_args!("{}", reference::page()));
    Ok(Outcome::Clean)
}
