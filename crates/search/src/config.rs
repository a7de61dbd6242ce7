//! Settings of a search, with the values of CPL (algorithm, sections 1 and 2) as defaults.

mod names;
#[cfg(test)]
mod tests;

use crate::error::SearchError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How trees are searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// How a tree is searched.
    pub strategy: Strategy,
    /// Simulations in one tree: 200 in the paper's first round, 100 in its second. Under [`Strategy::BestFirst`] states
    /// that are expanded; best-of-n and beam search have their own size.
    pub simulations: u32,
    /// The rule by which MCTS goes down the tree.
    pub selection: Selection,
    /// Weight of the prior against the value under [`Selection::Puct`].
    pub c_puct: f64,
    /// Weight of exploration against the value under [`Selection::Uct`].
    pub c_uct: f64,
    /// Q of a child that was never visited, under [`Selection::Puct`].
    pub first_play: FirstPlay,
    /// Gumbel top-k with sequential halving among the root's children: of how many at most; see [`Gumbel`](crate::Gumbel).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gumbel_root: Option<usize>,
    /// Leaves of one tree that MCTS has evaluated at the same time. From the second on, selection counts each pending
    /// leaf as so many visits with `virtual_loss` (Segal 2010, "On the Scalability of Parallel UCT").
    pub leaves_per_tree: usize,
    /// What a pending visit counts as: its value is minus this.
    pub virtual_loss: f64,
    /// With several leaves, takes their answers in together and in order, so that a tree never depends on which one came
    /// first. Otherwise each is taken in at once and replaced by another. With one leaf both are the same.
    pub reproducible: bool,
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
            strategy: Strategy::Mcts,
            simulations: 200,
            selection: Selection::Puct,
            c_puct: 1.5,
            c_uct: std::f64::consts::SQRT_2,
            first_play: FirstPlay::Value(0.0),
            gumbel_root: None,
            leaves_per_tree: 1,
            virtual_loss: 1.0,
            reproducible: true,
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

/// How a tree is searched. All strategies write the same kind of tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Strategy {
    /// Monte-Carlo tree search.
    #[default]
    Mcts,
    /// Independent samples from the question to an answer: equal first steps are merged and branch later. Q is the mean
    /// reward of the samples through a step; no state is evaluated but, by a value head, the solutions.
    BestOfN {
        /// Samples.
        count: usize,
    },
    /// Level by level, the best states go on: by their value, or without evaluation by their path's log-probability.
    Beam {
        /// States that go on at each level.
        width: usize,
    },
    /// The best open state of the whole tree goes on, `simulations` times.
    BestFirst,
}

/// The rule by which a child is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Q + c_puct * P * sqrt(N_parent) / (1 + N_child) (CPL).
    #[default]
    Puct,
    /// Q + c_uct * sqrt(ln N_parent / N_child), unvisited children first (Kocsis and Szepesvari 2006).
    Uct,
}

/// First-play value: Q of a child that was never visited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FirstPlay {
    /// This number; 0 in CPL.
    Value(f64),
    /// Q of the parent less this number, as Leela and KataGo have it.
    BelowParent(f64),
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
    /// Once the tree is this old. Such a tree depends on the clock, and is not reproducible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<f64>,
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
        let is_weight = |number: f64| number.is_finite() && number >= 0.0;
        check("c_uct", self.c_uct, is_weight(self.c_uct), "a number from 0 up")?;
        check("virtual_loss", self.virtual_loss, is_weight(self.virtual_loss), "a number from 0 up")?;
        check("leaves_per_tree", self.leaves_per_tree, self.leaves_per_tree >= 1, "at least 1")?;
        let first_play = match self.first_play {
            FirstPlay::Value(value) => (-1.0..=1.0).contains(&value),
            FirstPlay::BelowParent(reduction) => (0.0..=2.0).contains(&reduction),
        };
        check("first_play", self.first_play, first_play, "a value from -1 to 1, or below_parent:R with R from 0 to 2")?;
        if let Some(considered) = self.gumbel_root {
            check("gumbel_root", considered, (1..=MAX_CANDIDATES).contains(&considered), "1 to 65535")?;
        }
        match self.strategy {
            Strategy::BestOfN { count: size } | Strategy::Beam { width: size } => {
                check("strategy", self.strategy, (1..=MAX_CANDIDATES).contains(&size), "a size from 1 to 65535")?;
            }
            Strategy::Mcts | Strategy::BestFirst => {}
        }
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
        if let Some(wall_s) = self.stop_when.wall_s {
            check("stop_when.wall_s", wall_s, wall_s.is_finite() && wall_s > 0.0, "a number above 0")?;
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
