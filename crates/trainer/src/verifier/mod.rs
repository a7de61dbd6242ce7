//! Verifiers: scorers of states that are not the policy, trained on the siblings of searched trees.
//!
//! ```text
//!   siblings of a state ──► states h ──► heads w_k ──► scores w_k . h ──► ranking, regression ──► loss
//!      (each token once)   trunk: trained                    │
//!                          or frozen                         └──► V = mean over k of tanh(w_k . h), in [-1, 1]
//! ```

mod config;
#[cfg(feature = "torch")]
mod ensemble;
#[cfg(feature = "torch")]
mod learner;
#[cfg(feature = "torch")]
mod loss;

pub use config::{Trunk, VerifierObjective, VerifierRules};
