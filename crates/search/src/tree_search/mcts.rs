//! The plan of MCTS: go down to a leaf, ask about it (algorithm, section 2.1).

use super::{Plan, TreeSearch};
use crate::config::Evaluation;
use crate::gumbel::Gumbel;
use crate::seed::Purpose;
use crate::selection::{Pending, select_child};
use espalier_tree::{Ending, NodeId, Tree};

/// What is under way: the selected leaf, visits.
#[derive(Default)]
pub(super) struct Mcts {
    /// The leaf that was selected, until it is asked about.
    leaf: Option<NodeId>,
    /// Visits under way by node; empty while a tree has one leaf at a time.
    pending: Vec<u32>,
    gumbel: Option<Gumbel>,
}

impl Mcts {
    /// Counts a visit of every node of `path` that is under way.
    fn hold(&mut self, tree: &Tree, path: &[NodeId]) {
        self.pending.resize(tree.len(), 0);
        for &at in path {
            self.pending[at.0 as usize] += 1;
        }
    }

    /// Takes back what [`hold`](Self::hold) counted on the path to `id`.
    pub(super) fn release(&mut self, tree: &Tree, id: NodeId) {
        if self.pending.is_empty() {
            return;
        }
        let path = std::iter::successors(Some(id), |&at| tree.parent(at));
        path.for_each(|at| self.pending[at.0 as usize] -= 1);
    }
}

impl TreeSearch {
    /// Asks about as many leaves as a tree may have at a time. Simulations that end at an exhausted node ask nothing.
    pub(super) fn plan_simulations(&mut self) {
        while self.asks.len() < self.config.leaves_per_tree {
            self.descend();
            let Plan::Mcts(mcts) = &mut self.plan else { return };
            let Some(leaf) = mcts.leaf.take() else { return };
            if self.asks.iter().any(|ask| ask.id == leaf) {
                // Everything leads to a leaf that is being asked about.
                return;
            }
            if self.config.leaves_per_tree > 1 {
                mcts.hold(&self.tree, &self.path);
            }
            match self.config.evaluation {
                Evaluation::Rollouts { count } => self.ask(leaf, Purpose::Rollouts, count),
                Evaluation::ValueHead | Evaluation::Zero => {
                    self.ask(leaf, Purpose::Expansion, self.step_count(leaf));
                }
            }
        }
    }

    /// Goes down to a leaf, unless there is one already or no simulation is to begin. A simulation that comes to a node
    /// without an open child ends there, and the next one begins.
    fn descend(&mut self) {
        while self.begins() {
            let Plan::Mcts(mcts) = &mut self.plan else { return };
            self.path.clear();
            self.path.push(NodeId::ROOT);
            let mut at = NodeId::ROOT;
            loop {
                if !self.tree.node(at).is_expanded() {
                    mcts.leaf = Some(at);
                    return;
                }
                let child = match self.config.gumbel_root {
                    Some(considered) if at == NodeId::ROOT => {
                        let gumbel = mcts.gumbel.get_or_insert_with(|| {
                            let children = self.tree.children(at);
                            let open = children.iter().filter(|child| !child.ending.is_terminal()).count();
                            // The first simulation expanded the root.
                            let simulations = self.config.simulations as usize - 1;
                            Gumbel::new(children.len(), open, considered, simulations, &mut self.generator)
                        });
                        gumbel.select(&self.tree)
                    }
                    _ => {
                        let pending = if mcts.pending.is_empty() {
                            Pending::NONE
                        } else {
                            Pending { visits: &mcts.pending, loss: self.config.virtual_loss }
                        };
                        select_child(&self.tree, at, &self.config, &pending, &mut self.generator)
                    }
                };
                let Some(child) = child else { break };
                self.path.push(child);
                at = child;
            }
            self.tree.set_ending(at, Ending::Exhausted);
            self.end_simulation();
        }
    }

    /// Whether a simulation is to begin.
    fn begins(&mut self) -> bool {
        let is_free = matches!(&self.plan, Plan::Mcts(mcts) if mcts.leaf.is_none());
        if !is_free || self.asks.len() >= self.config.leaves_per_tree || self.stop.is_some() {
            return false;
        }
        self.stop = self.reason_to_stop();
        // Those that are under way count.
        let begun = self.work.simulations + self.asks.len() as u64;
        self.stop.is_none() && begun < u64::from(self.config.simulations)
    }

    /// Goes as far down as [`next`](TreeSearch::next) would.
    pub(crate) fn descend_ahead(&mut self) {
        if self.asks.is_empty() || !self.takes_waves() {
            self.descend();
        }
    }
}
