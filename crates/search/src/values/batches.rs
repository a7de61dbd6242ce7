//! Valuers that answer a batch at a time, such as a server's endpoint.

use super::{State, ValueError, Valued, Valuer};
use std::sync::Arc;
use std::time::Duration;

/// Scores a batch of states.
pub trait Score: Send {
    /// A value in [-1, 1] for each state, in order.
    fn score(&mut self, states: &[Arc<State>]) -> Vec<Result<f32, ValueError>>;

    /// States that are worth asking about at a time.
    fn batch(&self) -> usize {
        64
    }
}

/// A valuer that takes in a batch, and blocks until it is scored.
pub struct InBatches<S> {
    score: S,
    waiting: Vec<Arc<State>>,
}

impl<S: Score> InBatches<S> {
    /// A valuer with nothing to do.
    pub fn new(score: S) -> InBatches<S> {
        InBatches { score, waiting: Vec::new() }
    }
}

impl<S: Score> Valuer for InBatches<S> {
    fn submit(&mut self, state: Arc<State>) {
        self.waiting.push(state);
    }

    fn pending(&self) -> usize {
        self.waiting.len()
    }

    fn room(&self) -> usize {
        self.score.batch().max(1).saturating_sub(self.waiting.len())
    }

    fn poll(&mut self, _at_most: Duration) -> Vec<Valued> {
        let states = std::mem::take(&mut self.waiting);
        if states.is_empty() {
            return Vec::new();
        }
        let mut values = self.score.score(&states).into_iter();
        let missing = || Err(ValueError::Source("the source of values gave too few".to_owned()));
        states.iter().map(|state| (state.ticket, values.next().unwrap_or_else(missing))).collect()
    }
}
