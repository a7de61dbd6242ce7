//! `step-train experiment`: runs with other settings side by side, over seeds.

use super::config_args::{ConfigArgs, Keys};
use super::flag::Group;
use super::keys::RUNTIME_OF_SEARCH;
use crate::exit::{Outcome, print_result};
use crate::report::experiment::{table, write_report};
use crate::session::{OutputFlags, Session};
use crate::shown::say;
use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args};
use espalier_files::{Lock, publish_json};
use espalier_rounds::config::RunConfig;
use espalier_rounds::experiment::{CellRun, Grid, Ran, Row, RunResult, rows};
use std::path::PathBuf;

/// Flags of `step-train experiment`.
#[derive(Args)]
pub struct ExperimentArgs {
    /// What is compared: a TOML file of seeds, [methods.NAME] and [grid], as data/experiments has them
    #[arg(value_name = "FILE")]
    grid: PathBuf,
    /// The experiment's folder; given again, it goes on, and given to several processes, they share its runs
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seeds in the place of the file's
    #[arg(long, value_name = "N", value_delimiter = ',')]
    seeds: Vec<u64>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<ExperimentArgs>,
}

impl Keys for ExperimentArgs {
    const FLAGS: &'static [Group] = &[RUNTIME_OF_SEARCH];

    /// They are the grid's.
    fn defaults() -> Option<RunConfig> {
        None
    }

    /// Those of the first cell: all have the same settings of this machine.
    fn base(given: &ArgMatches) -> Result<RunConfig> {
        let Some(grid) = given.get_one::<PathBuf>("grid") else { bail!("give the file of what is compared") };
        let first = Grid::read(grid)?.1.into_iter().next();
        first.map(|cell| cell.config).context("nothing is compared")
    }
}

/// Runs the command.
pub fn run(args: &ExperimentArgs) -> Result<Outcome> {
    let (grid, mut cells) = Grid::read(&args.grid)?;
    for cell in &mut cells {
        let config = args.config.over(&cell.config)?;
        if let Some(key) = config.decided_otherwise(&cell.config)? {
            bail!("--config changes {key}; what decides a result stands in {}", args.grid.display());
        }
        cell.config = config;
    }
    let seeds = if args.seeds.is_empty() { &grid.seeds } else { &args.seeds };
    let session = Session::new(args.output);
    let runs_of = |seed: u64| cells.iter().map(|cell| CellRun::new(cell, seed, &args.out)).collect::<Vec<_>>();
    let seeds: Vec<Vec<CellRun>> = seeds.iter().map(|&seed| runs_of(seed)).collect();
    let mut results: Vec<RunResult> = Vec::new();
    let mut elsewhere = 0;
    // Those that another process was at are looked at once more.
    for _ in 0..2 {
        elsewhere = 0;
        for (run, others) in seeds.iter().flat_map(|runs| runs.iter().map(move |run| (run, runs))) {
            if results.iter().any(|done| done.cell == run.name && done.seed == run.config.seed) {
                continue;
            }
            say(format_args!("{}, seed {}", run.name, run.config.seed));
            match run.run(others, &session.context(&run.config))? {
                Ran::Done(result) => results.push(result),
                Ran::Elsewhere => {
                    say(format_args!("another process is at {}", run.root.display()));
                    elsewhere += 1;
                }
            }
            // After every run, so that a look at an unfinished experiment shows what there is.
            write(args, &rows(&cells, grid.baseline.as_deref(), &results), &results)?;
        }
    }
    if elsewhere > 0 {
        say(format_args!("{elsewhere} runs are other processes'; give the command again for a table of all"));
    }
    print_result(format_args!("{}", table(&rows(&cells, grid.baseline.as_deref(), &results))));
    print_result(format_args!("written to {}\n", args.out.join("report.html").display()));
    Ok(Outcome::Clean)
}

/// Writes the report of what is done, unless another process just does.
fn write(args: &ExperimentArgs, rows: &[Row], results: &[RunResult]) -> Result<()> {
    let path = args.out.join("results.json");
    let Ok(_lock) = Lock::acquire(&path) else { return Ok(()) };
    publish_json(&path, &serde_json::json!({ "rows": rows, "runs": results }))?;
    write_report(&args.out.join("report.html"), rows, &std::fs::read_to_string(&args.grid)?)
}
