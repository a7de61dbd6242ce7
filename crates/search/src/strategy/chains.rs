//! Best-of-n: independent samples, step by step, each from where its own steps led.

use super::{Searcher, ValueUse};
use crate::config::SearchConfig;
use crate::growth::Growth;
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
}

impl Searcher for Chains {
    /// Asks for the next step of every sample; at last, where there is a value head, for the values of the solutions.
    fn plan(&mut self, growth: &mut Growth) {
        let open = std::mem::take(&mut self.open);
        growth.limits.stop = growth.reason_to_stop(None);
        if growth.limits.stop.is_some() {
            return;
        }
        if !open.is_empty() {
            open.into_iter().for_each(|(id, count)| growth.ask(id, Purpose::Expansion, count));
        } else if !std::mem::replace(&mut self.is_valued, true) && growth.config.evaluation.comes_with_answers() {
            let solutions = growth.tree.ids().filter(|&id| growth.tree.node(id).kind == Kind::Solution);
            solutions.collect::<Vec<_>>().into_iter().for_each(|id| growth.ask(id, Purpose::Value, 0));
        }
        if growth.asks.is_empty() {
            growth.limits.stop = Some(Stop::Simulations);
        }
    }

    /// A solution's value is noted; its reward is what counts.
    fn value_use(&self, _: &SearchConfig, _: NodeId, purpose: Purpose) -> ValueUse {
        if purpose == Purpose::Value { ValueUse::Noted } else { ValueUse::Ignored }
    }

    fn counts_samples(&self) -> bool {
        true
    }

    fn opened(&mut self, id: NodeId, samples: u32) {
        self.open.push((id, samples as usize));
    }
}
