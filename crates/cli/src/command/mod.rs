//! One file a command: its flags, and how they become a configuration and a stage.

use anyhow::{Context, Result};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use espalier_settings::{Choice, Name};
use serde::Serialize;
use std::io::Write;

#[cfg(feature = "local")]
pub mod compare;
#[cfg(feature = "local")]
pub mod compare_evals;
pub mod complete;
pub mod config_args;
#[cfg(feature = "local")]
pub mod eval;
#[cfg(feature = "local")]
pub mod experiment;
pub mod flag;
#[cfg(feature = "local")]
pub mod init;
#[cfg(feature = "local")]
pub mod judge;
pub mod keys;
#[cfg(feature = "local")]
pub mod objective;
pub mod pairs;
pub mod policy_flags;
#[cfg(feature = "local")]
pub mod prefer;
pub mod problems;
#[cfg(feature = "local")]
pub mod report;
#[cfg(feature = "local")]
pub mod round;
#[cfg(feature = "local")]
pub mod score;
pub mod search;
pub mod serve;
#[cfg(feature = "local")]
pub mod settings;
#[cfg(feature = "local")]
pub mod sft;
pub mod show;
pub mod solve;
pub mod task;
mod task_try;
#[cfg(feature = "local")]
pub mod value;
#[cfg(feature = "local")]
pub mod verifier;

/// Reads one of an enum's names.
fn choice<T: Choice>() -> impl TypedValueParser<Value = T> {
    let known = T::names()
        .into_iter()
        .map(|Name { name, sentence }| PossibleValue::new(name).help(sentence.trim_end_matches('.').to_owned()));
    PossibleValuesParser::new(known).try_map(|name| T::of_name(&name))
}

/// Reads a finite number.
fn number<T: std::str::FromStr + Copy + Into<f64>>(text: &str) -> Result<T, String> {
    text.parse::<T>().ok().filter(|&number| number.into().is_finite()).ok_or_else(|| "not a number".to_owned())
}

/// Prints one JSON value as a line.
fn print_line(out: &mut impl Write, value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value).context("cannot encode a result")?;
    writeln!(out, "{line}").context("cannot write to the standard output")
}
