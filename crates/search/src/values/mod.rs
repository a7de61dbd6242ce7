//! A policy whose values come from elsewhere: another model, a server, another policy's paths, the policy itself asked in another way.
//!
//! ```text
//!              ┌─► policy: candidates ──────────────────┐
//!   request ──►│                                        ├─► joined by ticket ─► answer with V
//!              └─► state ─► valuers, each on a thread ──┘
//! ```
//! Values are asked for when a request is taken in, so that they are made while the policy samples.

mod batches;
mod join;
mod own;
mod policy_valuer;
mod ratio;
mod readings;
mod with;
mod work;

pub use batches::{InBatches, Score};
pub use own::{OwnQuestion, asked_beside};
pub use policy_valuer::{PolicyValuer, Reading};
pub use ratio::RatioValuer;
pub use readings::{HeadReading, LastStepReading, PathsReading};
pub use with::WithValues;

use std::sync::Arc;
use std::time::Duration;

/// A state to be valued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Name of the request that it belongs to.
    pub ticket: u64,
    /// The tree that it is in.
    pub tree: u64,
    /// All tokens of the state: the prompt's, then those of each step of the path, as they were sampled.
    pub prefix_ids: Vec<u32>,
    /// Offsets into `prefix_ids` where the prompt and then each step end.
    pub step_ends: Vec<u32>,
}

impl State {
    /// Where the prompt ends and, at the same place or behind it, the last step begins; both 0 in a state without tokens.
    pub fn last_step(&self) -> (usize, usize) {
        let end = |from_last: usize| self.step_ends.len().checked_sub(from_last).map(|at| self.step_ends[at] as usize);
        (self.step_ends.first().map_or(0, |&end| end as usize), end(2).or(end(1)).unwrap_or(0))
    }

    /// Steps behind the prompt.
    pub fn depth(&self) -> usize {
        self.step_ends.len().saturating_sub(1)
    }
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// This state has none: its tree is given up.
    State(String),
    /// No state will have one any more: the search ends, and goes on from its stored trees when it is begun again.
    Source(String),
}

/// What came of one state: its ticket, and a value in [-1, 1].
pub type Valued = (u64, Result<f32, ValueError>);

/// Says what states are worth, many at a time. A value depends on the state alone, not on what else is asked.
pub trait Valuer: Send {
    /// Takes a state in.
    fn submit(&mut self, state: Arc<State>);

    /// States that were taken in and have no value yet.
    fn pending(&self) -> usize;

    /// How many states more it would take in now; what it leaves goes to the others of its source.
    fn room(&self) -> usize;

    /// Works until at least one state is valued, or for about this long; all values that there are by then, in any order.
    fn poll(&mut self, at_most: Duration) -> Vec<Valued>;

    /// Drops what is kept for a tree, once none of its states is pending.
    fn forget(&mut self, _tree: u64) {}
}

/// One source of values: several of a kind, each on a thread of its own, that share the work. One that keeps something for trees
/// has to be its source's only one: only one of them is told that a tree has ended.
pub type ValueSource<'s> = Vec<Box<dyn Valuer + 's>>;
