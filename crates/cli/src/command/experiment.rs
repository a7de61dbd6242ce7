//! `step-train experiment`: methods compared over seeds and granularities.

use super::config_args::{ConfigArgs, Keys};
use super::flag::Group;
use super::keys::RUNTIME_OF_SEARCH;
use crate::exit::{Outcome, print_result};
use crate::report::experiment::{table, write_report};
use crate::session::{OutputFlags, Session};
use anyhow::Result;
use clap::{Args, ValueEnum};
use espalier_files::publish_json;
use espalier_rounds::config::RunConfig;
use espalier_rounds::experiment::{MethodResult, rows, run_block};
use espalier_rounds::run::folder::RunFolder;
use espalier_rounds::run::init;
use espalier_task::Granularity;
use std::path::PathBuf;

/// Flags of `step-train experiment`.
#[derive(Args)]
pub struct ExperimentArgs {
    /// What is compared: methods (SFT, Step-APO alone, SFT on found paths, more SFT, rejection-sampling SFT, and after that
    /// outcome DPO, Step-DPO, Step-APO)
    #[arg(value_name = "NAME")]
    name: Name,
    /// The experiment's folder; given again, it goes on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seeds, from 0 on: so many blocks of each granularity
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<ExperimentArgs>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Methods,
}

impl Keys for ExperimentArgs {
    const FLAGS: &'static [Group] = &[RUNTIME_OF_SEARCH];

    fn defaults() -> Option<RunConfig> {
        Some(RunConfig::small())
    }
}

/// Runs the command.
pub fn run(args: &ExperimentArgs) -> Result<Outcome> {
    let Name::Methods = args.name;
    let defaults = args.config.resolve()?;
    let session = Session::new(args.output);
    let mut results: Vec<MethodResult> = Vec::new();
    for seed in 0..args.seeds {
        for granularity in [Granularity::Plan, Granularity::Step] {
            let name = format!("{granularity}-{seed}");
            let root = args.out.join(&name);
            let config = RunConfig { name, seed, rounds: 1, granularity: Some(granularity), ..defaults.clone() };
            if !root.exists() {
                init::generated(&root, &session.context(&config))?;
            }
            let run = RunFolder::open(&root)?;
            let config = RunConfig { runtime: config.runtime, ..run.config()? };
            results.extend(run_block(run, &session.context(&config))?);
            // After every block, so that a look at an unfinished experiment shows what there is.
            let rows = rows(&results);
            publish_json(&args.out.join("results.json"), &rows)?;
            write_report(&args.out.join("report.html"), &rows, &toml::to_string_pretty(&config.deciding()?)?)?;
        }
    }
    print_result(format_args!("{}", table(&rows(&results))));
    print_result(format_args!("written to {}\n", args.out.join("report.html").display()));
    Ok(Outcome::Clean)
}
