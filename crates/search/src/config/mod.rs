//! Settings of a search, with the values of CPL (algorithm, sections 1 and 2) as defaults.

mod names;
mod outside;
#[cfg(test)]
mod tests;

use espalier_settings::range::{above, at_least, between, such_that};
use espalier_settings::{choices, settings};
use names::EvaluationForm;
pub use outside::{Combine, Outside, Source};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

settings! {
    /// How trees are searched.
    pub struct SearchConfig {
        /// How a tree is searched.
        pub strategy: Strategy = Strategy::Mcts, such_that("with N, W and K between 1 and 65535", Strategy::has_size);
        /// Simulations a tree: select a leaf, evaluate it, expand it.
        ///
        /// 200 in the paper's first round, 100 in its second. Under [`Strategy::BestFirst`] states that are expanded; best-of-n
        /// and beam search have their own size.
        pub simulations: u32 = 200, at_least(1);
        /// Rule by which MCTS goes down the tree.
        pub selection: Selection = Selection::Puct;
        /// Exploration constant of PUCT: weight of the prior against the value.
        pub c_puct: f64 = 1.5, at_least(0);
        /// Exploration constant of UCT.
        pub c_uct: f64 = std::f64::consts::SQRT_2, at_least(0);
        /// Q of a step that was never visited, under PUCT; below_parent:R is the parent's Q less R.
        pub first_play: FirstPlay = FirstPlay::Value(0.0),
            such_that("from -1 to 1, or with R from 0 to 2", FirstPlay::is_value);
        /// Gumbel top-k with sequential halving at the root, over at most this many of its steps; off if left out.
        ///
        /// See [`Gumbel`](crate::Gumbel).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub gumbel_root: Option<usize> = None, between(1, MAX_CANDIDATES);
        /// Leaves of one tree evaluated at the same time, with virtual loss.
        ///
        /// A few trees then fill the batch that many would fill, at the price of a selection that knows less.
        /// From the second on, selection counts each pending leaf as so many visits with `virtual_loss` (Segal 2010, "On the
        /// Scalability of Parallel UCT").
        pub leaves_per_tree: usize = 1, at_least(1);
        /// What a pending visit counts as: its value is minus this.
        pub virtual_loss: f64 = 1.0, at_least(0);
        /// With several leaves, take answers in their order; false is faster and depends on timing.
        ///
        /// All answers are then taken in together, so that a tree never depends on which one came first. Otherwise each is
        /// taken in at once and replaced by another. With one leaf both are the same.
        pub reproducible: bool = true;
        /// Steps sampled at a node.
        pub k: usize = 3, between(1, MAX_CANDIDATES);
        /// Steps sampled at the root.
        pub k_root: usize = 5, between(1, MAX_CANDIDATES);
        /// Sampling temperature; 0 takes the likeliest token.
        pub temperature: f32 = 0.7, at_least(0);
        /// Most tokens of one step.
        pub max_step_tokens: usize = 1500, at_least(1);
        /// Most plan steps of a path; in the granularity `step`, most steps before the last.
        pub max_depth: u16 = 6, between(1, MAX_DEPTH);
        /// How a step's log-probability becomes its prior.
        pub prior: Prior = Prior::MeanProbability;
        /// Value of a leaf; without a value head, `value_head` is `zero`.
        pub evaluation: Evaluation = Evaluation::ValueHead, such_that("with N between 1 and 65535", Evaluation::has_count);
        /// When a tree is finished before all its simulations.
        pub stop_when: StopWhen = StopWhen::default();
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
    /// A random walk: the steps of a state are all judged and valued, and one drawn of them goes on, whatever its value.
    Walk {
        /// Steps sampled at each state, in the place of `k` and `k_root`.
        count: usize,
    },
}

choices! {
    /// The rule by which a child is selected.
    #[derive(Default)]
    pub enum Selection {
        /// Q + c_puct * P * sqrt(N_parent) / (1 + N_child) (CPL).
        #[default]
        Puct = "puct",
        /// Q + c_uct * sqrt(ln N_parent / N_child), unvisited children first (Kocsis and Szepesvari 2006).
        Uct = "uct",
    }
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

choices! {
    /// How a step's token log-probabilities become its prior P.
    #[derive(Default)]
    pub enum Prior {
        /// P = exp(mean token log-probability), not normalised over siblings (CPL).
        #[default]
        MeanProbability = "mean_probability",
        /// The softmax of the mean token log-probability over all siblings, terminal ones included: they sum to 1.
        Softmax = "softmax",
    }
}

/// Where the value V of a leaf comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "EvaluationForm")]
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
    /// From elsewhere; a policy [with values](crate::WithValues) answers them as if it had a head.
    Outside(Arc<Outside>),
}

impl Evaluation {
    /// Whether values come with the answers to requests.
    pub fn comes_with_answers(&self) -> bool {
        matches!(self, Evaluation::ValueHead | Evaluation::Outside(_))
    }
}

settings! {
    /// When a tree is finished early. Nothing is set by default; an exhausted tree is always finished.
    #[derive(Copy)]
    pub struct StopWhen {
        /// Finish a tree at this many correct solutions.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub correct_solutions: Option<u32> = None, at_least(1);
        /// Finish a tree that has sampled this many tokens, merged duplicates and rollouts included.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sampled_tokens: Option<u64> = None, at_least(1);
        /// Finish a tree after this many seconds; such trees depend on the clock and are not reproducible.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub wall_s: Option<f64> = None, above(0);
        /// Finish a tree once the root's Q has settled; never if the table is left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub converged: Option<Converged> = None;
    }
}

settings! {
    /// The root's Q counts as settled when it differs by at most `tolerance` from what it was `window` simulations before;
    /// looked at every `window` simulations.
    #[derive(Copy)]
    pub struct Converged {
        /// Simulations between two looks.
        pub window: u32 = 20, at_least(1);
        /// Largest change of Q.
        pub tolerance: f64 = 0.01, at_least(0);
    }
}

impl Strategy {
    fn has_size(&self) -> bool {
        match *self {
            Strategy::BestOfN { count: size } | Strategy::Beam { width: size } | Strategy::Walk { count: size } => {
                counts_candidates(size)
            }
            Strategy::Mcts | Strategy::BestFirst => true,
        }
    }
}

impl FirstPlay {
    fn is_value(&self) -> bool {
        match self {
            FirstPlay::Value(value) => (-1.0..=1.0).contains(value),
            FirstPlay::BelowParent(reduction) => (0.0..=2.0).contains(reduction),
        }
    }
}

impl Evaluation {
    fn has_count(&self) -> bool {
        if let Evaluation::Rollouts { count } = *self { counts_candidates(count) } else { true }
    }
}

/// Siblings are counted in 16 bits.
const MAX_CANDIDATES: u16 = u16::MAX;

fn counts_candidates(count: usize) -> bool {
    (1..=usize::from(MAX_CANDIDATES)).contains(&count)
}

/// Far beyond any plan, and far below where 16 bits of depth end.
const MAX_DEPTH: u16 = 10_000;
