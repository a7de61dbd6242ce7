//! A random walk: K steps at a state, all judged and valued, one of them drawn to go on from.

use super::{Searcher, ValueUse};
use crate::config::{Evaluation, SearchConfig};
use crate::growth::Growth;
use crate::seed::Purpose;
use crate::selection::below;
use crate::summary::Stop;
use espalier_tree::NodeId;

/// One path with all that was sampled beside it. Its cost grows with the depth, not with the tree. The state that it goes on from
/// says nothing about what was found at the one before, so the sets of siblings do not depend on each other (SPO, Liang et al. 2024,
/// arXiv:2406.04314, which walks so through denoising steps).
pub(super) struct Walk {
    /// Steps sampled at each state.
    count: usize,
    /// States that were just made, with the number of samples that came there.
    fresh: Vec<(NodeId, u32)>,
    /// Those of them that were asked about.
    open: Vec<(NodeId, u32)>,
    has_begun: bool,
}

impl Walk {
    pub(super) fn new(count: usize) -> Walk {
        Walk { count, fresh: Vec::new(), open: Vec::new(), has_begun: false }
    }

    /// Takes one of the open states, each of their samples with the same chance, and lets the others be.
    fn draw(&mut self, growth: &mut Growth) -> Option<NodeId> {
        let samples: u32 = self.open.iter().map(|&(_, samples)| samples).sum();
        let mut at = (samples > 0).then(|| below(&mut *growth.generator, samples))?;
        let drawn = self.open.iter().find(|&&(_, samples)| {
            let is_here = at < samples;
            at = at.saturating_sub(samples);
            is_here
        });
        let drawn = drawn.map(|&(id, _)| id);
        self.open.clear();
        drawn
    }
}

impl Searcher for Walk {
    /// Asks for the values of new states, else for the steps that follow one of them.
    fn plan(&mut self, growth: &mut Growth) {
        let fresh = std::mem::take(&mut self.fresh);
        for &(id, _) in &fresh {
            match growth.config.evaluation {
                Evaluation::Zero => {}
                Evaluation::ValueHead | Evaluation::Outside(_) => growth.ask(id, Purpose::Value, 0),
                Evaluation::Rollouts { count } => growth.ask(id, Purpose::Rollouts, count),
            }
        }
        self.open.extend(fresh);
        if !growth.asks.is_empty() {
            return;
        }
        growth.limits.stop = growth.reason_to_stop(None);
        if growth.limits.stop.is_some() {
            return;
        }
        let next = if std::mem::replace(&mut self.has_begun, true) { self.draw(growth) } else { Some(NodeId::ROOT) };
        match next {
            Some(id) => growth.ask(id, Purpose::Expansion, self.count),
            None => growth.limits.stop = Some(Stop::Exhausted),
        }
    }

    /// As in a beam: a state is evaluated when it is new; only the root, by a value head, together with its steps.
    fn value_use(&self, config: &SearchConfig, id: NodeId, purpose: Purpose) -> ValueUse {
        let is_new = id == NodeId::ROOT && config.evaluation.comes_with_answers();
        if purpose == Purpose::Expansion && !is_new { ValueUse::Ignored } else { ValueUse::BackedUp }
    }

    fn opened(&mut self, id: NodeId, samples: u32) {
        self.fresh.push((id, samples));
    }
}
