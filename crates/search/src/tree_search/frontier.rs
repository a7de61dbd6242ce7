//! The plan of beam search and best-first search: every state is evaluated when it is made, the best go on.

use super::{Plan, TreeSearch};
use crate::config::Evaluation;
use crate::seed::Purpose;
use crate::summary::Stop;
use espalier_tree::{NodeId, Tree};

/// Open states.
pub(super) struct Frontier {
    /// The beam's width; without one, the best of all goes on.
    width: Option<usize>,
    /// States that are not evaluated yet.
    fresh: Vec<NodeId>,
    /// Evaluated states that can go on, with their scores.
    open: Vec<(f64, NodeId)>,
}

impl Frontier {
    pub(super) fn new(width: Option<usize>) -> Frontier {
        Frontier { width, fresh: Vec::new(), open: vec![(0.0, NodeId::ROOT)] }
    }

    /// Notes a new state.
    pub(super) fn opened(&mut self, id: NodeId) {
        self.fresh.push(id);
    }

    /// Notes a state's value, which is its Q now.
    pub(super) fn evaluated(&mut self, tree: &Tree, id: NodeId) {
        self.open.push((tree.node(id).q(), id));
    }

    /// Takes out the states that go on: the first of equals, in the order in which they were made.
    fn best(&mut self) -> Vec<NodeId> {
        self.open.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
        let width = self.width.unwrap_or(1).min(self.open.len());
        let best = self.open.drain(..width).map(|(_, id)| id).collect();
        if self.width.is_some() {
            self.open.clear();
        }
        best
    }
}

impl TreeSearch {
    /// Asks for the values of new states, else for the steps that follow the best ones.
    pub(super) fn plan_frontier(&mut self) {
        let Plan::Frontier(frontier) = &mut self.plan else { return };
        let fresh = std::mem::take(&mut frontier.fresh);
        match self.config.evaluation {
            // Without values, the likelihood of the whole path.
            Evaluation::Zero => {
                frontier.open.extend(fresh.into_iter().map(|id| (path_logprob(&self.tree, id), id)));
            }
            Evaluation::ValueHead => fresh.into_iter().for_each(|id| self.ask(id, Purpose::Value, 0)),
            Evaluation::Rollouts { count } => fresh.into_iter().for_each(|id| self.ask(id, Purpose::Rollouts, count)),
        }
        if !self.asks.is_empty() {
            return;
        }
        self.stop = self.reason_to_stop();
        if self.stop.is_none()
            && let Plan::Frontier(frontier) = &mut self.plan
        {
            let best = frontier.best();
            best.into_iter().for_each(|id| self.ask(id, Purpose::Expansion, self.step_count(id)));
            if self.asks.is_empty() {
                self.stop = Some(Stop::Exhausted);
            }
        }
    }
}

/// Sum of the log-probabilities of all sampled tokens up to `id`, nats.
fn path_logprob(tree: &Tree, id: NodeId) -> f64 {
    let path = tree.path(id);
    path.iter().skip(1).flat_map(|&at| tree.logprobs(at)).map(|&logprob| f64::from(logprob)).sum()
}
