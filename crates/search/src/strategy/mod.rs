//! Strategies: what to ask about a tree, and what the answers mean.
//!
//! A strategy is one file: its state of one tree, and its answers to the questions of [`Searcher`]. All else, the tree, the
//! requests and the limits, is the same for all of them ([`Growth`]).

mod chains;
mod frontier;
mod mcts;
mod walk;

use crate::config::{SearchConfig, Strategy};
use crate::growth::Growth;
use crate::seed::Purpose;
use chains::Chains;
use espalier_tree::{NodeId, Tree};
use frontier::Frontier;
use mcts::Mcts;
use walk::Walk;

/// The strategy of these settings, at the beginning of a tree.
pub(crate) fn searcher(config: &SearchConfig) -> Box<dyn Searcher> {
    match config.strategy {
        Strategy::Mcts => Box::new(Mcts::default()),
        Strategy::BestOfN { count } => Box::new(Chains::new(count)),
        Strategy::Beam { width } => Box::new(Frontier::new(Some(width))),
        Strategy::BestFirst => Box::new(Frontier::new(None)),
        Strategy::Walk { count } => Box::new(Walk::new(count)),
    }
}

/// Searches one tree by the rules of one strategy.
pub(crate) trait Searcher: Send + Sync {
    /// Asks what is to be known next, or says why the tree is finished. A plan that does neither waits for the answers
    /// that are pending.
    fn plan(&mut self, growth: &mut Growth);

    /// Does the part of the next plan that asks nothing.
    fn plan_ahead(&mut self, _growth: &mut Growth) {}

    /// Whether answers are taken in together, in the order of the requests. Otherwise each is taken in at once, and a
    /// plan is made after each.
    fn takes_waves(&self, _config: &SearchConfig) -> bool {
        true
    }

    /// What the value of a state is for, when it is asked about for this purpose.
    fn value_use(&self, config: &SearchConfig, id: NodeId, purpose: Purpose) -> ValueUse;

    /// Whether candidates that say the same count each, rather than once as one step.
    fn counts_samples(&self) -> bool {
        false
    }

    /// Notes a new state that can go on; `samples` candidates came to it.
    fn opened(&mut self, _id: NodeId, _samples: u32) {}

    /// Notes that the answer about a state is in the tree, and its values are backed up.
    fn answered(&mut self, _tree: &Tree, _id: NodeId, _purpose: Purpose) {}
}

/// What the value of a state is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueUse {
    /// No value is wanted.
    Ignored,
    /// The value head's estimate is noted in the tree, but not backed up.
    Noted,
    /// The value is backed up, from the state to the root.
    BackedUp,
    /// The value is kept until the state's next steps are there, which are asked for now, and then backed up.
    Kept,
}
