//! Settings of a search, with the values of CPL (algorithm, sections 1 and 2) as defaults.

use crate::error::SearchError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How trees are searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Simulations in one tree: 200 in the paper's first round, 100 in its second.
    pub simulations: u32,
    /// Weight of the prior against the value in selection.
    pub c_puct: f64,
    /// Steps sampled at a node.
    pub k: usize,
    /// Steps sampled at the root.
    pub k_root: usize,
    /// Sampling temperature; 0 takes the likeliest token.
    pub temperature: f32,
    /// Tokens that one step may have at most.
    pub max_step_tokens: usize,
    /// Plan steps (in the `step` granularity: steps before the last) that a path may have at most.
    pub max_depth: u16,
    /// How a step's log-probability becomes its prior.
    pub prior: Prior,
    /// Where the value of a leaf comes from.
    pub evaluation: Evaluation,
    /// Trees searched at the same time. It decides speed and memory, never a tree.
    pub in_flight: usize,
    /// When a tree is finished before all its simulations.
    pub stop_when: StopWhen,
}

impl Default for SearchConfig {
    fn default() -> SearchConfig {
        SearchConfig {
            simulations: 200,
            c_puct: 1.5,
            k: 3,
            k_root: 5,
            temperature: 0.7,
            max_step_tokens: 1500,
            max_depth: 6,
            prior: Prior::MeanProbability,
            evaluation: Evaluation::ValueHead,
            in_flight: 64,
            stop_when: StopWhen::default(),
        }
    }
}

/// How a step's token log-probabilities become its prior P.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// P = exp(mean token log-probability), not normalised over siblings (CPL).
    #[default]
    MeanProbability,
    /// The softmax of the mean token log-probability over all siblings, terminal ones included: they sum to 1.
    Softmax,
}

/// Where the value V of a leaf comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluation {
    /// The policy's value head, from the same forward pass as the candidates (CPL).
    #[default]
    ValueHead,
    /// The mean reward of sampled paths to the end.
    Rollouts {
        /// Paths sampled from each leaf.
        count: usize,
    },
    /// V = 0: the tree is guided by rewards and priors alone.
    Zero,
}

/// When a tree is finished early. Nothing is set by default; an exhausted tree is always finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StopWhen {
    /// At this many correct solutions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct_solutions: Option<u32>,
    /// Once the tree has sampled this many tokens, merged duplicates and rollouts included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_tokens: Option<u64>,
    /// Once the root's Q has settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converged: Option<Converged>,
}

/// The root's Q counts as settled when it differs by at most `tolerance` from what it was `window` simulations before;
/// looked at every `window` simulations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Converged {
    /// Simulations between two looks.
    pub window: u32,
    /// Largest change of Q.
    pub tolerance: f64,
}

impl SearchConfig {
    /// Checks every setting.
    pub fn validate(&self) -> Result<(), SearchError> {
        let SearchConfig { simulations, c_puct, k, k_root, temperature, max_step_tokens, .. } = *self;
        check("simulations", simulations, simulations >= 1, "at least 1")?;
        check("c_puct", c_puct, c_puct.is_finite() && c_puct >= 0.0, "a number from 0 up")?;
        check("k", k, (1..=MAX_CANDIDATES).contains(&k), "1 to 65535")?;
        check("k_root", k_root, (1..=MAX_CANDIDATES).contains(&k_root), "1 to 65535")?;
        check("temperature", temperature, temperature.is_finite() && temperature >= 0.0, "a number from 0 up")?;
        check("max_step_tokens", max_step_tokens, max_step_tokens >= 1, "at least 1")?;
        check("max_depth", self.max_depth, (1..=MAX_DEPTH).contains(&self.max_depth), "1 to 10000")?;
        check("in_flight", self.in_flight, self.in_flight >= 1, "at least 1")?;
        if let Evaluation::Rollouts { count } = self.evaluation {
            check("evaluation.rollouts.count", count, (1..=MAX_CANDIDATES).contains(&count), "1 to 65535")?;
        }
        if let Some(count) = self.stop_when.correct_solutions {
            check("stop_when.correct_solutions", count, count >= 1, "at least 1")?;
        }
        if let Some(tokens) = self.stop_when.sampled_tokens {
            check("stop_when.sampled_tokens", tokens, tokens >= 1, "at least 1")?;
        }
        if let Some(Converged { window, tolerance }) = self.stop_when.converged {
            check("stop_when.converged.window", window, window >= 1, "at least 1")?;
            let in_range = tolerance.is_finite() && tolerance >= 0.0;
            check("stop_when.converged.tolerance", tolerance, in_range, "a number from 0 up")?;
        }
        Ok(())
    }
}

/// Siblings are counted in 16 bits.
const MAX_CANDIDATES: usize = u16::MAX as usize;

/// Far beyond any plan, and far below where 16 bits of depth end.
const MAX_DEPTH: u16 = 10_000;

fn check(
    field: &'static str,
    value: impl fmt::Display,
    is_valid: bool,
    wanted: &'static str,
) -> Result<(), SearchError> {
    if is_valid { Ok(()) } else { Err(SearchError::Setting { field, value: value.to_string(), wanted }) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        SearchConfig::default().validate().expect("the paper's settings");
    }

    #[test]
    fn a_bad_setting_is_named_with_its_value() {
        let bad: [(SearchConfig, &str); 6] = [
            (
                SearchConfig { simulations: 0, ..SearchConfig::default() },
                "search setting `simulations` is 0; choose at least 1",
            ),
            (
                SearchConfig { c_puct: f64::NAN, ..SearchConfig::default() },
                "search setting `c_puct` is NaN; choose a number from 0 up",
            ),
            (
                SearchConfig { k_root: 70_000, ..SearchConfig::default() },
                "search setting `k_root` is 70000; choose 1 to 65535",
            ),
            (
                SearchConfig { temperature: -0.5, ..SearchConfig::default() },
                "search setting `temperature` is -0.5; choose a number from 0 up",
            ),
            (
                SearchConfig { max_depth: 0, ..SearchConfig::default() },
                "search setting `max_depth` is 0; choose 1 to 10000",
            ),
            (
                SearchConfig { evaluation: Evaluation::Rollouts { count: 0 }, ..SearchConfig::default() },
                "search setting `evaluation.rollouts.count` is 0; choose 1 to 65535",
            ),
        ];
        for (config, message) in bad {
            assert_eq!(config.validate().expect_err(message).to_string(), message);
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for evaluation in [Evaluation::ValueHead, Evaluation::Zero, Evaluation::Rollouts { count: 4 }] {
            assert_eq!(evaluation.to_string().parse::<Evaluation>().expect("own name"), evaluation);
        }
        for prior in [Prior::MeanProbability, Prior::Softmax] {
            assert_eq!(prior.to_string().parse::<Prior>().expect("own name"), prior);
        }
        for name in ["rollouts:0", "rollouts:", "rollouts", "Zero"] {
            name.parse::<Evaluation>().expect_err(name);
        }
    }

    #[test]
    fn settings_keep_their_names_in_toml() {
        let config: SearchConfig = toml::from_str("k = 2\nevaluation = \"zero\"\nprior = \"softmax\"").expect("valid");
        let expected =
            SearchConfig { k: 2, evaluation: Evaluation::Zero, prior: Prior::Softmax, ..SearchConfig::default() };
        assert_eq!(config, expected);
        let config = SearchConfig {
            evaluation: Evaluation::Rollouts { count: 4 },
            stop_when: StopWhen {
                sampled_tokens: Some(5000),
                converged: Some(Converged { window: 20, tolerance: 0.01 }),
                ..StopWhen::default()
            },
            ..SearchConfig::default()
        };
        for config in [config, SearchConfig::default()] {
            let text = toml::to_string(&config).expect("written");
            assert_eq!(toml::from_str::<SearchConfig>(&text).expect("read back"), config, "{text}");
        }
        toml::from_str::<SearchConfig>("simulation = 5").expect_err("no such setting");
    }
}
