//! A fake policy whose every answer is written down: for trees whose outcome is known.

use super::{FakeSource, decode, encode};
use crate::request::{Candidate, Expansion, Finish, StepRequest, Unit};
use std::collections::HashMap;

/// Answers by state. A state is the text of the steps so far, without the prompt; one that is not in the table has no
/// value and no candidates, as a prefix that fills the context.
///
/// ```
/// use espalier_search::fake::{FakePolicy, FakeState, FakeTable};
///
/// let table = FakeTable::new()
///     .state("", FakeState::new(0.1).step("<step>Plan 1: add</step>", 0.5))
///     .state("<step>Plan 1: add</step>", FakeState::new(0.4).step("</plan><solution>\\boxed{2}</solution>", 0.9));
/// let policy = FakePolicy::new(table);
/// ```
#[derive(Clone, Debug, Default)]
pub struct FakeTable {
    states: HashMap<Vec<u32>, FakeState>,
}

/// What follows one state.
#[derive(Clone, Debug, Default)]
pub struct FakeState {
    value: Option<f32>,
    steps: Vec<Candidate>,
    paths: Vec<Candidate>,
}

impl FakeState {
    /// A state with a value and nothing after it yet.
    pub fn new(value: f32) -> FakeState {
        FakeState { value: Some(value), ..FakeState::default() }
    }

    /// Adds a step whose tokens have the given mean probability. A request gets the first `k` steps.
    #[must_use]
    pub fn step(mut self, text: &str, probability: f64) -> FakeState {
        self.steps.push(candidate(text, probability, Finish::Stop));
        self
    }

    /// Adds a step that was cut by the token limit.
    #[must_use]
    pub fn cut_step(mut self, text: &str, probability: f64) -> FakeState {
        self.steps.push(candidate(text, probability, Finish::Length));
        self
    }

    /// Adds the rest of a path, for rollouts.
    #[must_use]
    pub fn path(mut self, text: &str) -> FakeState {
        self.paths.push(candidate(text, 0.5, Finish::Stop));
        self
    }
}

impl FakeTable {
    /// A table without states.
    pub fn new() -> FakeTable {
        FakeTable::default()
    }

    /// Adds what follows the state that the given steps lead to.
    #[must_use]
    pub fn state(mut self, steps: &str, state: FakeState) -> FakeTable {
        self.states.insert(encode(steps), state);
        self
    }
}

impl FakeSource for FakeTable {
    fn answer(&self, request: &StepRequest<'_>) -> Expansion {
        let prompt_len = request.step_ends.first().map_or(0, |&end| end as usize);
        let Some(state) = self.states.get(&request.prefix_ids[prompt_len..]) else {
            tracing::debug!(state = decode(&request.prefix_ids[prompt_len..]), "not in the fake table");
            return Expansion { ticket: request.ticket, value: None, candidates: Vec::new() };
        };
        let all = match request.unit {
            Unit::Step => &state.steps,
            Unit::Path => &state.paths,
        };
        let candidates = all.iter().take(request.k).cloned().collect();
        Expansion { ticket: request.ticket, value: state.value.filter(|_| request.want_value), candidates }
    }
}

fn candidate(text: &str, probability: f64, finish: Finish) -> Candidate {
    let token_ids = encode(text);
    let logprobs = vec![probability.ln() as f32; token_ids.len()];
    Candidate { text: text.to_owned(), token_ids, logprobs, finish }
}
