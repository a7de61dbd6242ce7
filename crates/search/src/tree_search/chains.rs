//! The plan of best-of-n: independent samples, step by step, each from where its own steps led.

use super::{Plan, TreeSearch};
use crate::config::Evaluation;
use crate::seed::Purpose;
use crate::summary::Stop;
use espalier_tree::{Kind, NodeId};

/// Samples that go on.
pub(super) struct Chains {
    /// States with the number of samples that came there. Samples with equal steps share their node.
    open: Vec<(NodeId, usize)>,
    is_valued: bool,
}

impl Chains {
    /// `count` samples from the root.
    pub(super) fn new(count: usize) -> Chains {
        Chains { open: vec![(NodeId::ROOT, count)], is_valued: false }
    }

    /// Notes a state that `count` samples have come to.
    pub(super) fn opened(&mut self, id: NodeId, count: u32) {
        self.open.push((id, count as usize));
    }
}

impl TreeSearch {
    /// Asks for the next step of every sample; at last, where there is a value head, for the values of the solutions.
    pub(super) fn plan_chains(&mut self) {
        let stop = self.reason_to_stop();
        let Plan::Chains(chains) = &mut self.plan else { return };
        let open = std::mem::take(&mut chains.open);
        if stop.is_some() {
            self.stop = stop;
        } else if !open.is_empty() {
            open.into_iter().for_each(|(id, count)| self.ask(id, Purpose::Expansion, count));
        } else if !std::mem::replace(&mut chains.is_valued, true) && self.config.evaluation == Evaluation::ValueHead {
            let solutions = self.tree.ids().filter(|&id| self.tree.node(id).kind == Kind::Solution);
            solutions.collect::<Vec<_>>().into_iter().for_each(|id| self.ask(id, Purpose::Value, 0));
        }
        if self.asks.is_empty() && self.stop.is_none() {
            self.stop = Some(Stop::Simulations);
        }
    }
}
