//! MCTS: go down to a leaf, ask about it (algorithm, section 2.1).

use super::{Searcher, ValueUse};
use crate::config::{Evaluation, SearchConfig};
use crate::growth::Growth;
use crate::gumbel::Gumbel;
use crate::seed::Purpose;
use crate::selection::{Pending, select_child};
use espalier_tree::{Ending, NodeId, Tree};

/// What is under way: the selected leaf, visits.
#[derive(Default)]
pub(super) struct Mcts {
    /// The leaf that was selected, until it is asked about. The path leads to it.
    leaf: Option<NodeId>,
    /// Visits under way by node; empty while a tree has one leaf at a time.
    pending: Vec<u32>,
    gumbel: Option<Gumbel>,
}

impl Searcher for Mcts {
    /// Asks about as many leaves as a tree may have at a time. Simulations that end at an exhausted node ask nothing.
    fn plan(&mut self, growth: &mut Growth) {
        while growth.asks.len() < growth.config.leaves_per_tree {
            self.descend(growth);
            let Some(leaf) = self.leaf.take() else { return };
            if growth.asks.iter().any(|ask| ask.id == leaf) {
                // Everything leads to a leaf that is being asked about, so that this simulation does not begin.
                if let (Some(gumbel), Some(&child)) = (&mut self.gumbel, growth.path.get(1)) {
                    gumbel.take_back(&growth.tree, child);
                }
                return;
            }
            if growth.config.leaves_per_tree > 1 {
                self.hold(&growth.tree, &growth.path);
            }
            match growth.config.evaluation {
                Evaluation::Rollouts { count } => growth.ask(leaf, Purpose::Rollouts, count),
                Evaluation::ValueHead | Evaluation::Outside(_) | Evaluation::Zero => growth.ask_steps(leaf),
            }
        }
    }

    fn plan_ahead(&mut self, growth: &mut Growth) {
        self.descend(growth);
    }

    fn takes_waves(&self, config: &SearchConfig) -> bool {
        config.reproducible
    }

    fn value_use(&self, _: &SearchConfig, _: NodeId, purpose: Purpose) -> ValueUse {
        if purpose == Purpose::Rollouts { ValueUse::Kept } else { ValueUse::BackedUp }
    }

    fn answered(&mut self, tree: &Tree, id: NodeId, _: Purpose) {
        self.release(tree, id);
    }
}

impl Mcts {
    /// Goes down to a leaf, unless there is one already or no simulation is to begin. A simulation that comes to a node
    /// without an open child ends there, and the next one begins.
    fn descend(&mut self, growth: &mut Growth) {
        while self.begins(growth) {
            growth.path.clear();
            growth.path.push(NodeId::ROOT);
            let mut at = NodeId::ROOT;
            loop {
                if !growth.tree.node(at).is_expanded() {
                    self.leaf = Some(at);
                    return;
                }
                let Some(child) = self.select(growth, at) else { break };
                growth.path.push(child);
                at = child;
            }
            growth.tree.set_ending(at, Ending::Exhausted);
            growth.end_simulation();
        }
    }

    /// The child of an expanded node to go on with; `None` if no child is open.
    #[inline]
    fn select(&mut self, growth: &mut Growth, at: NodeId) -> Option<NodeId> {
        let Growth { tree, config, generator, .. } = growth;
        if let Some(considered) = config.gumbel_root
            && at == NodeId::ROOT
        {
            let gumbel = self.gumbel.get_or_insert_with(|| {
                let children = tree.children(at);
                let open = children.iter().filter(|child| !child.ending.is_terminal()).count();
                // The first simulation expanded the root.
                let simulations = config.simulations as usize - 1;
                Gumbel::new(children.len(), open, considered, simulations, generator)
            });
            return gumbel.select(tree);
        }
        let pending = if self.pending.is_empty() {
            Pending::NONE
        } else {
            Pending { visits: &self.pending, loss: config.virtual_loss }
        };
        select_child(tree, at, config, &pending, generator)
    }

    /// Whether a simulation is to begin.
    fn begins(&mut self, growth: &mut Growth) -> bool {
        let is_full = growth.asks.len() >= growth.config.leaves_per_tree;
        if self.leaf.is_some() || is_full || growth.limits.stop.is_some() {
            return false;
        }
        let simulations = u64::from(growth.config.simulations);
        growth.limits.stop = growth.reason_to_stop(Some(simulations));
        // Those that are under way count.
        growth.limits.stop.is_none() && growth.limits.work.simulations + (growth.asks.len() as u64) < simulations
    }

    /// Counts a visit of every node of `path` that is under way.
    fn hold(&mut self, tree: &Tree, path: &[NodeId]) {
        self.pending.resize(tree.len(), 0);
        for &at in path {
            self.pending[at.0 as usize] += 1;
        }
    }

    /// Takes back what [`hold`](Self::hold) counted on the path to `id`.
    fn release(&mut self, tree: &Tree, id: NodeId) {
        if self.pending.is_empty() {
            return;
        }
        let path = std::iter::successors(Some(id), |&at| tree.parent(at));
        path.for_each(|at| self.pending[at.0 as usize] -= 1);
    }
}
