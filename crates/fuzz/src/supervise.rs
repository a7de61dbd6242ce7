//! All targets, each in a process of its own.

use crate::scratch::Scratch;
use crate::targets::Target;
pub use crate::watch::Limits;
use crate::work::{Outcome, Run, kept, save};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::io::Write;
use std::process::{Command, Stdio};

/// What a process of a target says at its end.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Excess { excess: String },
    Outcome(Outcome),
}

/// Tries all targets, each with its share of the inputs, and writes a line each. Whether nothing failed.
///
/// # Errors
/// A process that cannot be started, and lines that cannot be written.
pub fn supervise(targets: &[&Target], run: &Run, out: &mut impl Write) -> Result<bool> {
    let scratch = Scratch::new().context("no folder for inputs")?;
    let shares: u64 = targets.iter().map(|target| u64::from(target.share)).sum();
    writeln!(
        out,
        "{:<22} {:>9} {:>9} {:>9} {:>7} {:>11} {:>9}",
        "target", "inputs", "inputs/s", "accepted", "panics", "slowest ms", "peak MiB"
    )?;
    let (mut all, mut is_well) = (0, true);
    for target in targets {
        let inputs = (run.inputs * u64::from(target.share)).div_ceil(shares.max(1));
        let current = scratch.file(target.name);
        let child = Command::new(std::env::current_exe()?)
            .args(["--alone", "--target", target.name])
            .args(["--inputs", &inputs.to_string(), "--seed", &run.seed.to_string()])
            .arg("--failures")
            .arg(&run.failures)
            .arg("--current")
            .arg(&current)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", target.name))?;
        let said = serde_json::from_slice::<Said>(&child.stdout);
        let problem = match said {
            Ok(Said::Outcome(outcome)) => {
                writeln!(out, "{}", line(target.name, &outcome))?;
                for (place, input) in &outcome.places {
                    writeln!(out, "  {place}: {}", input.display())?;
                }
                (all, is_well) = (all + outcome.inputs, is_well && outcome.panics == 0);
                continue;
            }
            Ok(Said::Excess { excess }) => excess,
            // Killed by a signal, as a full stack does, or ended by a check of the target itself.
            Err(_) => child.status.to_string(),
        };
        is_well = false;
        let saved = kept(&current).map(|input| save(&run.failures, target.name, &input));
        let saved = saved.map_or_else(|| "before its first input".to_owned(), |path| path.display().to_string());
        writeln!(out, "{:<22} {problem}: {saved}", target.name)?;
    }
    writeln!(out, "{:<22} {all:>9}", "all")?;
    Ok(is_well)
}

fn line(name: &str, outcome: &Outcome) -> String {
    let Outcome { inputs, accepted, panics, seconds, slowest_ms, peak_bytes, .. } = outcome;
    let rate = *inputs as f64 / seconds.max(1e-9);
    let share = 100.0 * *accepted as f64 / (*inputs).max(1) as f64;
    format!("{name:<22} {inputs:>9} {rate:>9.0} {share:>8.1}% {panics:>7} {slowest_ms:>11.1} {:>9}", peak_bytes >> 20)
}
