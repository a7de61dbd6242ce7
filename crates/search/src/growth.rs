//! What a strategy works on: one tree as far as it has grown, what is asked about it, and its limits.

use crate::config::{Converged, SearchConfig};
use crate::limits::Limits;
use crate::request::Expansion;
use crate::seed::Purpose;
use crate::summary::Stop;
use espalier_tree::{NodeId, Tree};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A tree, its pending questions and its limits.
pub(crate) struct Growth {
    pub(crate) config: Arc<SearchConfig>,
    pub(crate) tree: Tree,
    /// Boxed: ties are rare, and what is used at each simulation then lies together.
    pub(crate) generator: Box<ChaCha8Rng>,
    /// Requests without an applied answer, in their order.
    pub(crate) asks: Vec<Ask>,
    /// From the root to the leaf that was selected last.
    pub(crate) path: Vec<NodeId>,
    pub(crate) limits: Limits,
}

/// A question about one node.
pub(crate) struct Ask {
    pub(crate) ticket: u64,
    pub(crate) id: NodeId,
    pub(crate) purpose: Purpose,
    /// Candidates wanted.
    pub(crate) k: usize,
    pub(crate) is_sent: bool,
    pub(crate) prefix_len: usize,
    /// The mean reward of the rollouts, once they are made.
    pub(crate) rollout_value: Option<f64>,
    /// An answer that waits for those before it.
    pub(crate) answer: Option<Expansion>,
}

impl Growth {
    /// Asks about a node: for `k` candidates, or for none where only its value is wanted.
    #[inline]
    pub(crate) fn ask(&mut self, id: NodeId, purpose: Purpose, k: usize) {
        let (ticket, rollout_value, answer) = (0, None, None);
        self.asks.push(Ask { ticket, id, purpose, k, is_sent: false, prefix_len: 0, rollout_value, answer });
    }

    /// Asks for the steps that follow a node.
    #[inline]
    pub(crate) fn ask_steps(&mut self, id: NodeId) {
        self.ask(id, Purpose::Expansion, self.step_count(id));
    }

    /// Steps that are sampled at a node.
    #[inline]
    pub(crate) fn step_count(&self, id: NodeId) -> usize {
        if id == NodeId::ROOT { self.config.k_root } else { self.config.k }
    }

    /// Counts a simulation that has come to its end.
    #[inline]
    pub(crate) fn end_simulation(&mut self) {
        let limits = &mut self.limits;
        limits.work.simulations += 1;
        if let Some(Converged { window, tolerance }) = self.config.stop_when.converged
            && limits.work.simulations.is_multiple_of(u64::from(window))
        {
            let q = self.tree.node(NodeId::ROOT).q();
            limits.has_settled = limits.last_look.is_some_and(|before| (q - before).abs() <= tolerance);
            limits.last_look = Some(q);
        }
    }

    /// Why no further simulation is to begin, if there is a reason: after `simulations` of them, where that is the size
    /// of the search.
    pub(crate) fn reason_to_stop(&self, simulations: Option<u64>) -> Option<Stop> {
        let (rules, limits) = (&self.config.stop_when, &self.limits);
        if self.tree.node(NodeId::ROOT).ending.is_terminal() {
            Some(Stop::Exhausted)
        } else if simulations.is_some_and(|most| limits.work.simulations >= most) {
            Some(Stop::Simulations)
        } else if rules.correct_solutions.is_some_and(|enough| limits.correct_solutions >= enough) {
            Some(Stop::Solved)
        } else if rules.sampled_tokens.is_some_and(|enough| limits.work.sampled_tokens >= enough) {
            Some(Stop::Tokens)
        } else if rules.wall_s.is_some_and(|enough| limits.began.elapsed().as_secs_f64() >= enough) {
            Some(Stop::WallTime)
        } else if limits.has_settled {
            Some(Stop::Converged)
        } else {
            None
        }
    }
}
