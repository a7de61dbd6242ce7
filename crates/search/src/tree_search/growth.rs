//! What a strategy works on: one tree as far as it has grown, what is asked about it, and its limits.

use super::limits::Limits;
use crate::config::SearchConfig;
use crate::request::Expansion;
use crate::seed::Purpose;
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
    pub(super) ticket: u64,
    pub(crate) id: NodeId,
    pub(super) purpose: Purpose,
    /// Candidates wanted.
    pub(super) k: usize,
    pub(super) is_sent: bool,
    pub(super) prefix_len: usize,
    /// The mean reward of the rollouts, once they are made.
    pub(super) rollout_value: Option<f64>,
    /// An answer that waits for those before it.
    pub(super) answer: Option<Expansion>,
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
    pub(super) fn step_count(&self, id: NodeId) -> usize {
        if id == NodeId::ROOT { self.config.k_root } else { self.config.k }
    }
}
