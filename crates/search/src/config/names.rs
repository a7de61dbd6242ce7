//! Settings that are written in one of several forms, as flags give them.

use super::{Evaluation, FirstPlay, Strategy};
use espalier_settings::{OutOfRange, forms};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

forms!(Strategy: "mcts, best_of_n:N, beam:W, best_first or walk:K");
forms!(FirstPlay: "a number or below_parent:R");
forms!(Evaluation: "value_head, rollouts:N, zero, folder:DIR, server:URL, implicit:DIR, prover:DIR, prover:URL, self, or several of them in min(A,B), mean(A,B), mean-Csd(A,B)");

pub(super) fn unknown<T: espalier_settings::Setting>(key: &str, name: &str) -> OutOfRange {
    OutOfRange::new(key, format!("{name:?}"), T::kind().to_string())
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strategy::Mcts => f.write_str("mcts"),
            Strategy::BestOfN { count } => write!(f, "best_of_n:{count}"),
            Strategy::Beam { width } => write!(f, "beam:{width}"),
            Strategy::BestFirst => f.write_str("best_first"),
            Strategy::Walk { count } => write!(f, "walk:{count}"),
        }
    }
}

impl FromStr for Strategy {
    type Err = OutOfRange;

    /// Reads `mcts`, `best_of_n:N`, `beam:W`, `best_first` or `walk:K`.
    fn from_str(name: &str) -> Result<Strategy, OutOfRange> {
        let size = |prefix| name.strip_prefix(prefix)?.parse().ok().filter(|&size: &usize| size >= 1);
        match name {
            "mcts" => Ok(Strategy::Mcts),
            "best_first" => Ok(Strategy::BestFirst),
            _ => size("best_of_n:")
                .map(|count| Strategy::BestOfN { count })
                .or_else(|| size("beam:").map(|width| Strategy::Beam { width }))
                .or_else(|| size("walk:").map(|count| Strategy::Walk { count }))
                .ok_or_else(|| unknown::<Strategy>("strategy", name)),
        }
    }
}

impl fmt::Display for FirstPlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FirstPlay::Value(value) => write!(f, "{value}"),
            FirstPlay::BelowParent(reduction) => write!(f, "below_parent:{reduction}"),
        }
    }
}

impl FromStr for FirstPlay {
    type Err = OutOfRange;

    /// Reads a number, or `below_parent:R` with the reduction R.
    fn from_str(name: &str) -> Result<FirstPlay, OutOfRange> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let read = match name.strip_prefix("below_parent:") {
            Some(reduction) => number(reduction).map(FirstPlay::BelowParent),
            None => number(name).map(FirstPlay::Value),
        };
        read.ok_or_else(|| unknown::<FirstPlay>("first_play", name))
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evaluation::ValueHead => f.write_str("value_head"),
            Evaluation::Rollouts { count } => write!(f, "rollouts:{count}"),
            Evaluation::Zero => f.write_str("zero"),
            Evaluation::Outside(outside) => outside.fmt(f),
        }
    }
}

impl FromStr for Evaluation {
    type Err = OutOfRange;

    /// Reads `value_head`, `zero`, `rollouts:N` with N paths from each leaf, or [`Outside`](super::Outside).
    fn from_str(name: &str) -> Result<Evaluation, OutOfRange> {
        let rollouts = || name.strip_prefix("rollouts:")?.parse().ok().filter(|&count| count >= 1);
        match name {
            "value_head" => Ok(Evaluation::ValueHead),
            "zero" => Ok(Evaluation::Zero),
            _ if name.starts_with("rollouts") => rollouts()
                .map(|count| Evaluation::Rollouts { count })
                .ok_or_else(|| unknown::<Evaluation>("evaluation", name)),
            _ => name.parse().map(|outside| Evaluation::Outside(Arc::new(outside))),
        }
    }
}

/// An evaluation as files hold it: as flags spell it, or as a table, which files of earlier versions have.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum EvaluationForm {
    Text(String),
    Table { rollouts: RolloutsTable },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutsTable {
    count: usize,
}

impl From<Evaluation> for String {
    fn from(value: Evaluation) -> String {
        value.to_string()
    }
}

impl TryFrom<EvaluationForm> for Evaluation {
    type Error = OutOfRange;

    fn try_from(form: EvaluationForm) -> Result<Evaluation, OutOfRange> {
        match form {
            EvaluationForm::Text(name) => name.parse(),
            EvaluationForm::Table { rollouts: RolloutsTable { count } } => Ok(Evaluation::Rollouts { count }),
        }
    }
}

impl From<Strategy> for String {
    fn from(value: Strategy) -> String {
        value.to_string()
    }
}

impl TryFrom<String> for Strategy {
    type Error = OutOfRange;

    fn try_from(name: String) -> Result<Strategy, OutOfRange> {
        name.parse()
    }
}

impl From<FirstPlay> for String {
    fn from(value: FirstPlay) -> String {
        value.to_string()
    }
}

impl TryFrom<String> for FirstPlay {
    type Error = OutOfRange;

    fn try_from(name: String) -> Result<FirstPlay, OutOfRange> {
        name.parse()
    }
}
