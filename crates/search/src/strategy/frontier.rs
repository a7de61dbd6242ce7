//! Beam search and best-first search: every state is evaluated when it is made, the best go on.

use super::{Searcher, ValueUse};
use crate::config::{Evaluation, SearchConfig};
use crate::growth::Growth;
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

impl Searcher for Frontier {
    /// Asks for the values of new states, else for the steps that follow the best ones.
    fn plan(&mut self, growth: &mut Growth) {
        let fresh = std::mem::take(&mut self.fresh);
        match growth.config.evaluation {
            // Without values, the likelihood of the whole path.
            Evaluation::Zero => self.open.extend(fresh.into_iter().map(|id| (path_logprob(&growth.tree, id), id))),
            Evaluation::ValueHead | Evaluation::Outside(_) => {
                fresh.into_iter().for_each(|id| growth.ask(id, Purpose::Value, 0));
            }
            Evaluation::Rollouts { count } => fresh.into_iter().for_each(|id| growth.ask(id, Purpose::Rollouts, count)),
        }
        if !growth.asks.is_empty() {
            return;
        }
        // The size of a beam search is its width.
        let most = self.width.is_none().then_some(u64::from(growth.config.simulations));
        growth.limits.stop = growth.reason_to_stop(most);
        if growth.limits.stop.is_none() {
            self.best().into_iter().for_each(|id| growth.ask_steps(id));
            if growth.asks.is_empty() {
                growth.limits.stop = Some(Stop::Exhausted);
            }
        }
    }

    /// A state is evaluated when it is new; only the root, by a value head, together with its steps.
    fn value_use(&self, config: &SearchConfig, id: NodeId, purpose: Purpose) -> ValueUse {
        let is_new = id == NodeId::ROOT && config.evaluation.comes_with_answers();
        if purpose == Purpose::Expansion && !is_new { ValueUse::Ignored } else { ValueUse::BackedUp }
    }

    fn opened(&mut self, id: NodeId, _: u32) {
        self.fresh.push(id);
    }

    /// A state's value is its Q now.
    fn answered(&mut self, tree: &Tree, id: NodeId, purpose: Purpose) {
        if purpose != Purpose::Expansion {
            self.open.push((tree.node(id).q(), id));
        }
    }
}

/// Sum of the log-probabilities of all sampled tokens up to `id`, nats.
fn path_logprob(tree: &Tree, id: NodeId) -> f64 {
    let path = tree.path(id);
    path.iter().skip(1).flat_map(|&at| tree.logprobs(at)).map(|&logprob| f64::from(logprob)).sum()
}
