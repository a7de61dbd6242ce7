//! The implicit Q of a policy that was trained by preferences: what it has learnt to like better than its reference does.

use super::{LastStepReading, PolicyValuer, State, ValueError, Valued, Valuer};
use crate::policy::Policy;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Q(s, step) = beta (log pi(step | s) - log pi_ref(step | s)), held to [-1, 1]; 0 at a prompt. The identity is DPO's, its use to
/// rank steps that of step-level Q-value models (arXiv:2409.09345); there is no sum over the steps before.
pub struct RatioValuer<P, F> {
    policy: PolicyValuer<P, LastStepReading>,
    reference: PolicyValuer<F, LastStepReading>,
    beta: f64,
    /// What one of the two has said: the policy's less the reference's.
    halves: HashMap<u64, f64>,
    /// Who has failed already; the other's answer is of no use.
    failed: HashSet<u64>,
}

impl<P: Policy + Send, F: Policy + Send> RatioValuer<P, F> {
    /// A valuer over the trained policy and its reference. Both read the search's own tokens.
    pub fn new(policy: P, reference: F, beta: f64, room: usize) -> RatioValuer<P, F> {
        RatioValuer {
            policy: PolicyValuer::new(policy, LastStepReading, room),
            reference: PolicyValuer::new(reference, LastStepReading, room),
            beta,
            halves: HashMap::new(),
            failed: HashSet::new(),
        }
    }

    fn join(&mut self, (ticket, said): (u64, Result<f64, ValueError>)) -> Option<Valued> {
        if self.failed.remove(&ticket) {
            return None;
        }
        let first = self.halves.remove(&ticket);
        match (said, first) {
            (Ok(own), Some(other)) => Some((ticket, Ok((self.beta * (own + other)).clamp(-1.0, 1.0) as f32))),
            (Ok(own), None) => {
                self.halves.insert(ticket, own);
                None
            }
            (Err(error), first) => {
                if first.is_none() {
                    self.failed.insert(ticket);
                }
                Some((ticket, Err(error)))
            }
        }
    }
}

impl<P: Policy + Send, F: Policy + Send> Valuer for RatioValuer<P, F> {
    fn submit(&mut self, state: Arc<State>) {
        self.policy.submit(Arc::clone(&state));
        self.reference.submit(state);
    }

    fn pending(&self) -> usize {
        self.policy.pending().max(self.reference.pending())
    }

    fn room(&self) -> usize {
        self.policy.room().min(self.reference.room())
    }

    fn poll(&mut self, at_most: Duration) -> Vec<Valued> {
        let own = self.policy.poll(at_most).into_iter().map(|(ticket, said)| (ticket, said.map(f64::from)));
        let other =
            self.reference.poll(at_most).into_iter().map(|(ticket, said)| (ticket, said.map(|said| -f64::from(said))));
        let all: Vec<_> = own.chain(other).collect();
        all.into_iter().filter_map(|said| self.join(said)).collect()
    }

    fn forget(&mut self, tree: u64) {
        self.policy.forget(tree);
        self.reference.forget(tree);
    }
}
