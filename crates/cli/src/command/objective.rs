//! `step-train objective`: what the objectives are, and what they say of given numbers.

use crate::exit::Outcome;
use anyhow::{Context, Result, bail};
use clap::Args;
use espalier_trainer::objectives::{self, Case};
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Flags of `step-train objective`.
#[derive(Args, Clone, Debug)]
pub struct ObjectiveArgs {
    /// Print every objective: name, formula, parameters with their defaults, source
    #[arg(long, required_unless_present = "cases", conflicts_with_all = ["cases", "loss"])]
    list: bool,
    /// Evaluate only the cases of this objective; a case that names none is taken as its
    #[arg(long, value_name = "NAME", requires = "cases")]
    loss: Option<String>,
    /// Evaluate objectives on numbers: JSON of {"cases": [{"loss", "params", "inputs"}, ...]}; prints one JSON line a
    /// case, in order: value and gradients in float64
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// Runs the command.
pub fn run(args: &ObjectiveArgs) -> Result<Outcome> {
    let mut out = std::io::stdout().lock();
    match &args.cases {
        Some(path) => write!(out, "{}", evaluate(path, args.loss.as_deref())?),
        None => write!(out, "{}", objectives::table()),
    }
    .context("cannot write to the standard output")?;
    Ok(Outcome::Clean)
}

/// The lines of all cases, or of those of one objective. Nothing is printed unless every one can be evaluated.
fn evaluate(path: &Path, only: Option<&str>) -> Result<String> {
    if let Some(name) = only {
        objectives::entry(name)?;
    }
    let shown = path.display();
    let text = espalier_files::read_stream_text(path).with_context(|| format!("cannot read {shown}"))?;
    let Cases { cases } = serde_json::from_str(&text).with_context(|| format!("{shown} is no file of cases"))?;
    let mut lines = String::new();
    for (index, case) in cases.iter().enumerate() {
        let Some(name) = case.loss.as_deref().or(only) else {
            bail!("{shown}: case {index} names no loss; give --loss");
        };
        if only.is_none_or(|only| only == name) {
            let evaluated = case.evaluate(name).with_context(|| format!("{shown}: case {index}"))?;
            lines += &serde_json::to_string(&evaluated)?;
            lines.push('\n');
        }
    }
    if lines.is_empty() {
        bail!("{shown} has no case of {}", only.unwrap_or("any loss"));
    }
    Ok(lines)
}
