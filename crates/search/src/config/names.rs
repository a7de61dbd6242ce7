//! Settings by name, as flags give them.

use super::{Evaluation, FirstPlay, Prior, Selection, Strategy};
use crate::error::SearchError;
use std::fmt;
use std::str::FromStr;

fn unknown(field: &'static str, value: &str, wanted: &'static str) -> SearchError {
    SearchError::Setting { field, value: value.to_owned(), wanted }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strategy::Mcts => f.write_str("mcts"),
            Strategy::BestOfN { count } => write!(f, "best_of_n:{count}"),
            Strategy::Beam { width } => write!(f, "beam:{width}"),
            Strategy::BestFirst => f.write_str("best_first"),
        }
    }
}

impl FromStr for Strategy {
    type Err = SearchError;

    /// Reads `mcts`, `best_of_n:N`, `beam:W` or `best_first`.
    fn from_str(name: &str) -> Result<Strategy, SearchError> {
        let size = |prefix| name.strip_prefix(prefix)?.parse().ok().filter(|&size: &usize| size >= 1);
        match name {
            "mcts" => Ok(Strategy::Mcts),
            "best_first" => Ok(Strategy::BestFirst),
            _ => size("best_of_n:")
                .map(|count| Strategy::BestOfN { count })
                .or_else(|| size("beam:").map(|width| Strategy::Beam { width }))
                .ok_or_else(|| unknown("strategy", name, "mcts, best_of_n:N, beam:W or best_first, N and W from 1 up")),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Selection::Puct => "puct",
            Selection::Uct => "uct",
        })
    }
}

impl FromStr for Selection {
    type Err = SearchError;

    fn from_str(name: &str) -> Result<Selection, SearchError> {
        match name {
            "puct" => Ok(Selection::Puct),
            "uct" => Ok(Selection::Uct),
            _ => Err(unknown("selection", name, "puct or uct")),
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
    type Err = SearchError;

    /// Reads a number, or `below_parent:R` with the reduction R.
    fn from_str(name: &str) -> Result<FirstPlay, SearchError> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let read = match name.strip_prefix("below_parent:") {
            Some(reduction) => number(reduction).map(FirstPlay::BelowParent),
            None => number(name).map(FirstPlay::Value),
        };
        read.ok_or_else(|| unknown("first_play", name, "a number, or below_parent:R"))
    }
}

impl fmt::Display for Prior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Prior::MeanProbability => "mean_probability",
            Prior::Softmax => "softmax",
        })
    }
}

impl FromStr for Prior {
    type Err = SearchError;

    fn from_str(name: &str) -> Result<Prior, SearchError> {
        match name {
            "mean_probability" => Ok(Prior::MeanProbability),
            "softmax" => Ok(Prior::Softmax),
            _ => {
                let wanted = "mean_probability or softmax";
                Err(SearchError::Setting { field: "prior", value: name.to_owned(), wanted })
            }
        }
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evaluation::ValueHead => f.write_str("value_head"),
            Evaluation::Rollouts { count } => write!(f, "rollouts:{count}"),
            Evaluation::Zero => f.write_str("zero"),
        }
    }
}

impl FromStr for Evaluation {
    type Err = SearchError;

    /// Reads `value_head`, `zero`, or `rollouts:N` with N paths from each leaf.
    fn from_str(name: &str) -> Result<Evaluation, SearchError> {
        let rollouts = || name.strip_prefix("rollouts:")?.parse().ok().filter(|&count| count >= 1);
        match name {
            "value_head" => Ok(Evaluation::ValueHead),
            "zero" => Ok(Evaluation::Zero),
            _ => rollouts().map(|count| Evaluation::Rollouts { count }).ok_or_else(|| {
                let wanted = "value_head, zero, or rollouts:N with N from 1 up";
                SearchError::Setting { field: "evaluation", value: name.to_owned(), wanted }
            }),
        }
    }
}

impl From<Strategy> for String {
    fn from(value: Strategy) -> String {
        value.to_string()
    }
}

impl TryFrom<String> for Strategy {
    type Error = SearchError;

    fn try_from(name: String) -> Result<Strategy, SearchError> {
        name.parse()
    }
}

impl From<FirstPlay> for String {
    fn from(value: FirstPlay) -> String {
        value.to_string()
    }
}

impl TryFrom<String> for FirstPlay {
    type Error = SearchError;

    fn try_from(name: String) -> Result<FirstPlay, SearchError> {
        name.parse()
    }
}
