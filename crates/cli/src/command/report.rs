//! `step-train report`: a run's table, printed and as `report.html`.

use crate::exit::{Outcome, print_result};
use crate::report;
use anyhow::{Result, bail};
use clap::Args;
use espalier_rounds::run::folder::RunFolder;
use std::path::PathBuf;

/// Flags of `step-train report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The run's folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
}

/// Runs the command.
pub fn run(args: &ReportArgs) -> Result<Outcome> {
    let folder = RunFolder::open(&args.run)?;
    let rounds = folder.finished()?;
    if rounds.is_empty() {
        bail!("{} has no finished round; run step-train round first", args.run.display());
    }
    print_result(format_args!("{}", report::table::rounds(&rounds)));
    report::html::write(&folder, &rounds)?;
    print_result(format_args!("written to {}\n", folder.report().display()));
    Ok(Outcome::Clean)
}
