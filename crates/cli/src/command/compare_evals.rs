//! `step-train compare-evals`: two evaluations of the same problems against each other.

use crate::exit::{Outcome, print_result};
use crate::report::table::comparison;
use crate::shown::say;
use anyhow::Result;
use clap::Args;
use espalier_eval::compare;
use espalier_files::{publish_json, refuse_existing};
use espalier_rounds::stage::eval::read;
use std::path::PathBuf;

/// Flags of `step-train compare-evals`.
#[derive(Args, Clone, Debug)]
pub struct CompareEvalsArgs {
    /// The report of the first evaluation, its samples beside it
    first: PathBuf,
    /// The report of the second
    second: PathBuf,
    /// The comparison to write, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seed of the bootstrap intervals
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs the command.
pub fn run(args: &CompareEvalsArgs) -> Result<Outcome> {
    args.out.as_deref().map_or(Ok(()), refuse_existing)?;
    let ((first, first_samples), (second, second_samples)) = (read(&args.first)?, read(&args.second)?);
    let compared = compare(&first_samples, &second_samples, args.seed)?;
    if let Some(out) = &args.out {
        publish_json(out, &compared)?;
    }
    print_result(format_args!("{}", comparison(&compared)));
    if (&first.policy, first.method) == (&second.policy, second.method) {
        say(format_args!("both are evaluations of the same policy by the same method"));
    }
    if compared.unpaired > 0 {
        say(format_args!("{} problems are in one evaluation only and were left out", compared.unpaired));
    }
    Ok(Outcome::Clean)
}
