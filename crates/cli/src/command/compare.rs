//! `step-train compare`: the same policy trained on the same pairs by each objective in turn.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, MODEL, OPTIMISATION, PAIRWISE, RUNTIME};
use crate::exit::{Outcome, print_result};
use crate::session::{OutputFlags, Session};
use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use espalier_rounds::stage::compare::{self, Compare};
use espalier_trainer::objectives::REGISTRY;
use std::path::PathBuf;

/// Flags of `step-train compare`.
#[derive(Args)]
pub struct CompareArgs {
    /// The policy that each training starts from, which is also the reference
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Pairs, as `prefer` takes them
    #[arg(long, value_name = "PATH")]
    pairs: PathBuf,
    /// More pairs that are only looked at
    #[arg(long, value_name = "PATH")]
    held_out: Option<PathBuf>,
    /// Compare only these objectives, with commas between [default: all, with their default parameters]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = known_losses())]
    losses: Option<Vec<String>>,
    /// The folder to make: table.md, and the metrics of each objective
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<CompareArgs>,
}

impl Keys for CompareArgs {
    const FLAGS: &'static [Group] = &[
        COMMON,
        RUNTIME,
        group("prefer", &[flag("held_out_fraction")]),
        group("prefer.train", &OPTIMISATION),
        group("prefer.train", &MODEL),
        group("prefer.train", &PAIRWISE),
    ];
}

fn known_losses() -> PossibleValuesParser {
    PossibleValuesParser::new(REGISTRY.iter().map(|entry| entry.about.name))
}

/// Runs the command.
pub fn run(args: &CompareArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    let losses: Vec<String> = match &args.losses {
        Some(names) => names.clone(),
        None => REGISTRY.iter().map(|entry| entry.about.name.to_owned()).collect(),
    };
    let compare = Compare {
        policy: &args.policy,
        pairs: &args.pairs,
        held_out: args.held_out.as_deref(),
        losses: &losses,
        out: &args.out,
    };
    let compared = compare::run(&compare, &Session::new(args.output).context(&config))?;
    print_result(format_args!("{}", compared.table()));
    Ok(Outcome::from_failed(compared.skipped))
}
