//! A policy whose values come from elsewhere: another model, a server, the policy itself asked in another way.
//!
//! ```text
//!              ┌─► policy: candidates ──────────────────┐
//!   request ──►│                                        ├─► joined by ticket ─► answer with V
//!              └─► state ─► valuers, each on a thread ──┘
//! ```
//! Values are asked for when a request is taken in, so that they are made while the policy samples.

mod join;

use crate::about::{About, PolicyStats};
use crate::config::Combine;
use crate::policy::{LOOK, Policy, PolicyError};
use crate::request::{Expansion, StepRequest};
use crossbeam::channel::{Receiver, Sender, unbounded};
use join::Joined;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

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

/// Says what states are worth.
pub trait Valuer: Send {
    /// A value in [-1, 1] for each state, in order, or why there is none; that concerns the state's tree alone. The value
    /// may depend on the state alone, not on what else is asked.
    fn values(&mut self, states: &[Arc<State>]) -> Vec<Result<f32, String>>;

    /// States that are worth asking about at a time.
    fn batch(&self) -> usize {
        64
    }

    /// Drops what is kept for a tree.
    fn forget(&mut self, _tree: u64) {}
}

/// One source of values: several of a kind, each on a thread of its own, that share the work.
pub type ValueSource = Vec<Box<dyn Valuer>>;

/// What a valuer's thread is told.
enum Order {
    Value(Arc<State>),
    Forget(u64),
}

/// What a valuer's thread says: the ticket, the source, the value.
type Said = (u64, usize, Result<f32, String>);

/// A policy with the values of one or several sources.
pub struct WithValues<P> {
    policy: P,
    sources: Vec<Sender<Order>>,
    said: Receiver<Said>,
    joined: Joined,
}

impl<P: Policy> WithValues<P> {
    /// Answers of `policy`, values of `sources` (at least one), combined.
    pub fn new(policy: P, sources: Vec<ValueSource>, combine: Combine) -> WithValues<P> {
        let (say, said) = unbounded();
        let joined = Joined::new(sources.len(), combine);
        let sources = sources.into_iter().enumerate().map(|(source, valuers)| {
            let (send, orders) = unbounded();
            for valuer in valuers {
                let (orders, say) = (orders.clone(), say.clone());
                thread::spawn(move || value_all(valuer, source, &orders, &say));
            }
            send
        });
        WithValues { policy, sources: sources.collect(), said, joined }
    }

    /// Waits for answers: at most this long, if that is said.
    fn wait(&mut self, at_most: Option<Duration>) -> Result<Vec<Expansion>, PolicyError> {
        let until = at_most.and_then(|at_most| Instant::now().checked_add(at_most));
        loop {
            self.said.try_iter().for_each(|said| self.joined.take_value(said));
            let ready = self.joined.ready();
            if !ready.is_empty() {
                return Ok(ready);
            }
            if let Some(error) = self.joined.failure() {
                return Err(error);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Vec::new());
            }
            if self.policy.pending() > 0 {
                let answers = match (self.joined.awaits_values(), left) {
                    (true, left) => self.policy.poll_for(left.unwrap_or(LOOK).min(LOOK))?,
                    (false, Some(left)) => self.policy.poll_for(left)?,
                    (false, None) => self.policy.poll()?,
                };
                answers.into_iter().for_each(|answer| self.joined.take_answer(answer));
            } else if self.joined.awaits_values() {
                let said = self.said.recv_timeout(left.unwrap_or(Duration::from_secs(3600)));
                said.into_iter().for_each(|said| self.joined.take_value(said));
            } else {
                return Ok(Vec::new());
            }
        }
    }
}

impl<P: Policy> Policy for WithValues<P> {
    fn about(&self) -> About {
        About { has_value_head: true, ..self.policy.about() }
    }

    fn stats(&self) -> PolicyStats {
        self.policy.stats()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        self.policy.tokenize(prompt)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        let state = request.want_value.then(|| State {
            ticket: request.ticket,
            tree: request.tree,
            prefix_ids: request.prefix_ids.to_vec(),
            step_ends: request.step_ends.to_vec(),
        });
        let (ticket, only_value) = (request.ticket, request.k == 0);
        if !(only_value && state.is_some()) {
            self.policy.submit(StepRequest { want_value: false, ..request })?;
        }
        if let Some(state) = state.map(Arc::new) {
            self.joined.begin(&state);
            // The threads live as long as this.
            self.sources.iter().for_each(|source| drop(source.send(Order::Value(Arc::clone(&state)))));
            if only_value {
                self.joined.take_answer(Expansion { ticket, value: None, candidates: Vec::new() });
            }
        }
        Ok(())
    }

    fn pending(&self) -> usize {
        self.policy.pending() + self.joined.held()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        self.wait(None)
    }

    fn poll_for(&mut self, at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        self.wait(Some(at_most))
    }

    fn forget(&mut self, tree: u64) {
        self.joined.forget(tree);
        self.policy.forget(tree);
        self.sources.iter().for_each(|source| drop(source.send(Order::Forget(tree))));
    }

    fn reclaim(&mut self, answer: Expansion) {
        self.policy.reclaim(answer);
    }
}

/// Values states as they come, as many at a time as the valuer likes, until nobody asks any more.
fn value_all(mut valuer: Box<dyn Valuer>, source: usize, orders: &Receiver<Order>, say: &Sender<Said>) {
    let mut states = Vec::new();
    while let Ok(first) = orders.recv() {
        let most = valuer.batch();
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Value(state) => states.push(state),
                Order::Forget(tree) => valuer.forget(tree),
            }
            if states.len() < most {
                next = orders.try_recv().ok();
            }
        }
        if states.is_empty() {
            continue;
        }
        let mut values = valuer.values(&states).into_iter();
        for state in states.drain(..) {
            let value = values.next().unwrap_or_else(|| Err("the source of values gave too few".to_owned()));
            if say.send((state.ticket, source, value)).is_err() {
                return;
            }
        }
    }
}
