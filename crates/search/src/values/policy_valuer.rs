//! Values that another policy gives: its value head, its paths, how likely it finds a step.

use super::{State, ValueError, Valued, Valuer};
use crate::policy::Policy;
use crate::request::{Expansion, StepRequest};
use crate::wishes::{Told, Wishes};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How a state is put before a policy, and how its answer becomes a value.
pub trait Reading: Send {
    /// The request and what is wished for beside it; ticket and tree are set by who sends it. `None` for a state that is worth 0
    /// without asking.
    ///
    /// # Errors
    /// A state that cannot be asked about.
    fn request(&mut self, state: &State) -> Result<Option<(StepRequest<'static>, Wishes)>, String>;

    /// What an answer says. `told` are the tokens of the prefix, where they were wished for.
    ///
    /// # Errors
    /// An answer without what was asked for.
    fn value(&mut self, state: &State, answer: &Expansion, told: &[Told]) -> Result<f32, String>;
}

/// A valuer that asks a policy, with as many requests in flight as it has room for.
pub struct PolicyValuer<P, R> {
    policy: P,
    reading: R,
    /// Requests at a time.
    room: usize,
    waiting: HashMap<u64, Arc<State>>,
    told: HashMap<u64, Vec<Told>>,
    done: Vec<Valued>,
    /// Trees that ended while something of theirs was pending.
    ended: HashSet<u64>,
    /// Why it values nothing any more.
    broken: Option<String>,
}

impl<P: Policy + Send, R: Reading> PolicyValuer<P, R> {
    /// A valuer over a policy of its own, with at most `room` requests at a time.
    pub fn new(policy: P, reading: R, room: usize) -> PolicyValuer<P, R> {
        PolicyValuer {
            policy,
            reading,
            room: room.max(1),
            waiting: HashMap::new(),
            told: HashMap::new(),
            done: Vec::new(),
            ended: HashSet::new(),
            broken: None,
        }
    }

    fn begin(&mut self, state: &Arc<State>) -> Result<Option<f32>, ValueError> {
        let of_state = ValueError::State;
        let Some((request, wishes)) = self.reading.request(state).map_err(of_state)? else {
            return Ok(Some(0.0));
        };
        let request = StepRequest { ticket: state.ticket, tree: state.tree, ..request };
        match self.policy.submit_with(request, &wishes) {
            Ok(()) => Ok(None),
            Err(error) if error.tree() == Some(state.tree) => Err(of_state(error.reason())),
            Err(error) => Err(self.end(error.reason())),
        }
    }

    /// Gives up for good, in the name of all that waits.
    fn end(&mut self, reason: String) -> ValueError {
        let error = ValueError::Source(reason.clone());
        let waiting = std::mem::take(&mut self.waiting);
        self.done.extend(waiting.into_keys().map(|ticket| (ticket, Err(error.clone()))));
        self.broken = Some(reason);
        error
    }

    fn take(&mut self, answer: &Expansion) {
        let told = self.told.remove(&answer.ticket).unwrap_or_default();
        let Some(state) = self.waiting.remove(&answer.ticket) else { return };
        let value = self.reading.value(&state, answer, &told).map_err(ValueError::State);
        self.done.push((state.ticket, value));
        self.forget_if_ended(state.tree);
    }

    fn forget_if_ended(&mut self, tree: u64) {
        if self.ended.contains(&tree) && self.waiting.values().all(|state| state.tree != tree) {
            self.ended.remove(&tree);
            self.policy.forget(tree);
        }
    }
}

impl<P: Policy + Send, R: Reading> Valuer for PolicyValuer<P, R> {
    fn submit(&mut self, state: Arc<State>) {
        let ticket = state.ticket;
        if let Some(reason) = &self.broken {
            return self.done.push((ticket, Err(ValueError::Source(reason.clone()))));
        }
        match self.begin(&state) {
            Ok(None) => drop(self.waiting.insert(ticket, state)),
            Ok(Some(value)) => self.done.push((ticket, Ok(value))),
            Err(error) => self.done.push((ticket, Err(error))),
        }
    }

    fn pending(&self) -> usize {
        self.waiting.len() + self.done.len()
    }

    fn room(&self) -> usize {
        self.room.saturating_sub(self.waiting.len())
    }

    fn poll(&mut self, at_most: Duration) -> Vec<Valued> {
        if self.done.is_empty() && !self.waiting.is_empty() {
            let answers = self.policy.poll_for(at_most);
            for report in self.policy.reports() {
                // Tokens of candidates are in the answer.
                if report.candidate.is_none() {
                    self.told.insert(report.ticket, report.tokens);
                }
            }
            match answers {
                Ok(answers) => {
                    answers.iter().for_each(|answer| self.take(answer));
                    answers.into_iter().for_each(|answer| self.policy.reclaim(answer));
                }
                Err(error) => match error.tree() {
                    // Which of the tree's requests it was nobody knows, and none is needed: the tree is given up.
                    Some(tree) => {
                        let lost = self.waiting.values().find(|state| state.tree == tree).map(|state| state.ticket);
                        if let Some(ticket) = lost {
                            self.waiting.remove(&ticket);
                            self.done.push((ticket, Err(ValueError::State(error.reason()))));
                        }
                        self.forget_if_ended(tree);
                    }
                    None => drop(self.end(error.reason())),
                },
            }
        }
        std::mem::take(&mut self.done)
    }

    fn forget(&mut self, tree: u64) {
        self.ended.insert(tree);
        self.forget_if_ended(tree);
    }
}
