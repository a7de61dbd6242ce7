//! What a tree asks: the tokens of a state's path, lent from memory that all trees can share.

use super::TreeSearch;
use crate::growth::Ask;
use crate::request::{StepRequest, Stops, Unit};
use crate::seed::{Purpose, request_seed};
use crate::strategy::ValueUse;
use espalier_tree::NodeId;
use std::borrow::Cow;

/// Memory for the tokens of one request after the other, and what ends their candidates; trees can share it.
#[derive(Clone, Debug, Default)]
pub struct RequestBuffer {
    stops: Stops,
    prefix_ids: Vec<u32>,
    step_ends: Vec<u32>,
}

impl RequestBuffer {
    /// Memory for requests with these stop strings.
    pub fn new(stops: &Stops) -> RequestBuffer {
        RequestBuffer { stops: stops.clone(), ..RequestBuffer::default() }
    }
}

impl TreeSearch {
    /// The request for the question at this place, which counts as sent.
    pub(super) fn request<'a>(&mut self, at: usize, buffer: &'a mut RequestBuffer) -> StepRequest<'a> {
        let Ask { id, purpose, k, .. } = self.growth.asks[at];
        if self.growth.path.last() != Some(&id) {
            self.growth.path = self.growth.tree.path(id);
        }
        let RequestBuffer { stops, prefix_ids, step_ends } = buffer;
        prefix_ids.clear();
        step_ends.clear();
        for &at in &self.growth.path {
            prefix_ids.extend_from_slice(self.growth.tree.token_ids(at));
            step_ends.push(prefix_ids.len() as u32);
        }
        // A path from here has the remaining steps and one solution.
        let steps_left = usize::from(self.growth.config.max_depth) + 1 - usize::from(self.growth.tree.node(id).depth);
        let (unit, max_tokens) = match purpose {
            Purpose::Expansion | Purpose::Value => (Unit::Step, self.growth.config.max_step_tokens),
            Purpose::Rollouts => (Unit::Path, self.growth.config.max_step_tokens.saturating_mul(steps_left)),
        };
        let ask = &mut self.growth.asks[at];
        (ask.ticket, ask.is_sent, ask.prefix_len) = (self.next_ticket, true, prefix_ids.len());
        self.next_ticket += 1;
        StepRequest {
            ticket: ask.ticket,
            tree: self.index,
            prefix_ids: prefix_ids.as_slice().into(),
            step_ends: step_ends.as_slice().into(),
            k,
            max_tokens,
            unit,
            stops: Cow::Borrowed(stops),
            temperature: self.growth.config.temperature,
            seed: request_seed(self.growth.tree.info.tree_seed, id, purpose),
            want_value: self.wants_value(id, purpose),
        }
    }

    /// Whether the value head is asked.
    fn wants_value(&self, id: NodeId, purpose: Purpose) -> bool {
        let config = &self.growth.config;
        config.evaluation.comes_with_answers() && self.strategy.value_use(config, id, purpose) != ValueUse::Ignored
    }
}
