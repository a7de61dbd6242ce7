//! Fuzzes the loaders and parsers: see the library's front page.

use anyhow::{Context, Result, bail};
use clap::Parser;
use espalier_fuzz::targets::{Target, all};
use espalier_fuzz::{Limits, Run, Scratch, supervise, work};
use std::path::PathBuf;
use std::process::ExitCode;

/// Tries broken, hostile and strange inputs on every loader and parser.
///
/// Exit codes: 0 nothing failed, 1 a panic, an abort, more than 5 s or more than 1 GiB, 2 could not run.
#[derive(Parser)]
struct Arguments {
    /// Number of inputs, all targets together.
    #[arg(long, default_value_t = 100_000)]
    inputs: u64,
    /// Only this target; repeatable. All names stand in the table of a whole run.
    #[arg(long)]
    target: Vec<String>,
    /// Seed of all inputs.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder of the inputs that failed.
    #[arg(long, default_value = "target/fuzz-failures")]
    failures: PathBuf,
    /// Tries the input in a file, which a failure left, on the one target named, in this process.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Tries one target in this process, for the one that supervises.
    #[arg(long, hide = true, requires = "current")]
    alone: bool,
    /// Where the input under way is kept.
    #[arg(long, hide = true)]
    current: Option<PathBuf>,
}

fn main() -> ExitCode {
    match fuzz(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn fuzz(given: Arguments) -> Result<bool> {
    let all = all();
    let named =
        |name: &String| all.iter().find(|target| target.name == *name).with_context(|| format!("no target {name}"));
    let targets: Vec<&Target> = match given.target.as_slice() {
        [] => all.iter().collect(),
        names => names.iter().map(named).collect::<Result<_>>()?,
    };
    if let Some(path) = &given.replay {
        let [target] = targets.as_slice() else { bail!("--replay needs one --target") };
        let input = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let accepted = ((target.begin)(Scratch::new()?).run)(&input);
        println!("{}", if accepted { "accepted" } else { "refused" });
        return Ok(true);
    }
    let run = Run { inputs: given.inputs, seed: given.seed, failures: given.failures };
    if let Some(current) = given.current.filter(|_| given.alone) {
        println!("{}", serde_json::to_string(&work(targets[0], &run, &current, Limits::default()))?);
        return Ok(true);
    }
    supervise(&targets, &run, &mut std::io::stdout().lock())
}
