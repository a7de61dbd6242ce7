//! Requests whose answer and values come apart.

use super::work::Said;
use super::{State, ValueError};
use crate::config::Combine;
use crate::policy::PolicyError;
use crate::request::Expansion;
use std::collections::{HashMap, VecDeque};

/// A request with what has come of it.
struct Half {
    tree: u64,
    answer: Option<Expansion>,
    /// One a source; NaN where it has not come.
    values: Vec<f32>,
    missing: usize,
    /// Why there is no value.
    failure: Option<ValueError>,
}

/// Requests that wait for a value or an answer, and answers that wait for nothing.
pub(super) struct Joined {
    sources: usize,
    combine: Combine,
    /// By ticket.
    halves: HashMap<u64, Half>,
    ready: Vec<Expansion>,
    failures: VecDeque<PolicyError>,
}

impl Joined {
    pub(super) fn new(sources: usize, combine: Combine) -> Joined {
        Joined { sources, combine, halves: HashMap::new(), ready: Vec::new(), failures: VecDeque::new() }
    }

    /// Begins to wait for a state's value and its request's answer.
    pub(super) fn begin(&mut self, state: &State) {
        let values = vec![f32::NAN; self.sources];
        let half = Half { tree: state.tree, answer: None, values, missing: self.sources, failure: None };
        self.halves.insert(state.ticket, half);
    }

    pub(super) fn take_answer(&mut self, answer: Expansion) {
        let ticket = answer.ticket;
        match self.halves.get_mut(&ticket) {
            None => self.ready.push(answer),
            Some(half) => {
                half.answer = Some(answer);
                self.end_if_whole(ticket);
            }
        }
    }

    /// Takes a value; one whose tree was given up meanwhile is of no use.
    pub(super) fn take_value(&mut self, (source, (ticket, value)): Said) {
        let Some(half) = self.halves.get_mut(&ticket) else {
            // A source that has ended says so in any case.
            if let Err(ValueError::Source(reason)) = value {
                self.failures.push_back(ended(&reason));
            }
            return;
        };
        half.missing -= 1;
        match value {
            Ok(value) if (-1.0..=1.0).contains(&value) => half.values[source] = value,
            Ok(value) => half.failure = Some(ValueError::State(format!("a value of {value} is not in [-1, 1]"))),
            Err(error) => half.failure = Some(error),
        }
        self.end_if_whole(ticket);
    }

    fn end_if_whole(&mut self, ticket: u64) {
        let is_whole = |half: &Half| half.missing == 0 && half.answer.is_some();
        if !self.halves.get(&ticket).is_some_and(is_whole) {
            return;
        }
        let Some(Half { tree, answer: Some(answer), values, failure, .. }) = self.halves.remove(&ticket) else {
            return;
        };
        match failure {
            None => self.ready.push(Expansion { value: Some(self.combine.of(&values)), ..answer }),
            Some(ValueError::State(reason)) => self.failures.push_back(PolicyError::of_tree(tree, reason)),
            Some(ValueError::Source(reason)) => {
                self.failures.push_back(ended(&reason));
            }
        }
    }

    /// Whole answers.
    pub(super) fn ready(&mut self) -> Vec<Expansion> {
        std::mem::take(&mut self.ready)
    }

    /// A request that has no value.
    pub(super) fn failure(&mut self) -> Option<PolicyError> {
        self.failures.pop_front()
    }

    /// Whether a value is still to come for anything.
    pub(super) fn awaits_values(&self) -> bool {
        self.halves.values().any(|half| half.missing > 0)
    }

    /// Requests that the policy has answered, and the search has not heard of yet.
    pub(super) fn held(&self) -> usize {
        let answered = self.halves.values().filter(|half| half.answer.is_some()).count();
        answered + self.ready.len() + self.failures.len()
    }

    /// Drops all that waits for a tree: nothing of it is pending, but a request that the policy has given up may be.
    pub(super) fn forget(&mut self, tree: u64) {
        self.halves.retain(|_, half| half.tree != tree);
    }
}

fn ended(reason: &str) -> PolicyError {
    PolicyError::new(format!("a source of values has ended: {reason}"))
}
