//! From step pairs to weights: supervised training, preference training and value-head regression.
//!
//! ```text
//!   examples ──► batches ──► model ──► log-probs [B] ──► objective ──► loss ──► gradients ──► AdamW ──► weights
//!                (order)    (batch)        ▲          (objectives/)                         (optimizer)
//!                                          │
//!   reference log-probs, computed once ────┘          metrics.jsonl, tb/, trainer_state/ after each step
//! ```
//!
//! Letters: B pairs, T tokens of a row, M predicted tokens, K siblings of a state or heads of a verifier, V vocabulary,
//! H hidden size.
//!
//! - A [`Trainer`] imitates whole paths ([`sft`](Trainer::sft)), learns from what the tree prefers
//!   ([`prefer_pairs`](Trainer::prefer_pairs), [`prefer_lists`](Trainer::prefer_lists)), fits the value head
//!   ([`value`](Trainer::value)), imitates and fits the head at once ([`joint`](Trainer::joint)), or makes a scorer of states
//!   that is not the policy ([`verifier`](Trainer::verifier)). All resume after being killed, with the same bits.
//! - [`objectives`] holds the losses, each a pure function.
//!
//! Without the feature `torch` only the settings are here ([`TrainConfig`]), for programs without LibTorch.
//!
//! ```no_run
//! use espalier_model::Transformer;
//! use espalier_trainer::{Objective, PreferencePair, TrainConfig, Trainer};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut model = Transformer::load("policy-000".as_ref(), tch::Device::Cpu, tch::Kind::Float)?;
//! let pair = PreferencePair {
//!     prompt_ids: vec![5, 6, 7],
//!     chosen_ids: vec![8, 9],
//!     rejected_ids: vec![10],
//!     q_chosen: 0.8,
//!     q_rejected: -0.4,
//!     visits_chosen: 30,
//!     visits_rejected: 12,
//!     weight: 1.0,
//!     q_scale: 1.0,
//!     reference: None,
//! };
//! let objective = Objective::new("step_apo", &[("beta".to_owned(), 0.3)].into())?.with_sft_weight(0.1);
//! let config = TrainConfig { learning_rate: 1e-6, epochs: 3, ..TrainConfig::default() };
//! let folder = "work".as_ref();
//! let trainer = Trainer { model: &mut model, config: &config, folder, observer: &mut () };
//! let summary = trainer.prefer_pairs(&[pair], &[], &objective)?;
//! println!("{} steps, loss {:.4}", summary.steps, summary.final_loss);
//! # Ok(()) }
//! ```
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and break files"))]

#[cfg(feature = "torch")]
mod batch;
#[cfg(feature = "torch")]
mod check;
mod config;
#[cfg(feature = "torch")]
mod data;
#[cfg(feature = "torch")]
mod early_stop;
#[cfg(feature = "torch")]
mod error;
#[cfg(feature = "torch")]
mod fingerprint;
#[cfg(feature = "torch")]
mod fit;
#[cfg(feature = "torch")]
mod joint;
#[cfg(feature = "torch")]
mod learner;
#[cfg(feature = "torch")]
mod means;
#[cfg(feature = "torch")]
mod metrics;
#[cfg(feature = "torch")]
pub mod objectives;
#[cfg(feature = "torch")]
mod optimizer;
#[cfg(feature = "torch")]
mod order;
#[cfg(feature = "torch")]
mod preference;
#[cfg(feature = "torch")]
mod resume;
#[cfg(feature = "torch")]
mod run;
#[cfg(feature = "torch")]
mod sft;
#[cfg(feature = "torch")]
mod tensorboard;
#[cfg(feature = "torch")]
mod value;
mod verifier;
#[cfg(feature = "torch")]
mod weights;

#[cfg(feature = "torch")]
pub use check::{SkipReason, SkippedRow};
pub use config::{LOSSES, Layout, LoraConfig, Order, Precision, Schedule, TrainConfig};
#[cfg(feature = "torch")]
pub use data::{PreferencePair, SftExample, SiblingList, SiblingStates, ValueExample};
#[cfg(feature = "torch")]
pub use error::TrainerError;
#[cfg(feature = "torch")]
pub use fit::Trainer;
#[cfg(feature = "torch")]
pub use joint::JointExample;
#[cfg(feature = "torch")]
pub use metrics::Observer;
#[cfg(feature = "torch")]
pub use objectives::Objective;
#[cfg(feature = "torch")]
pub use resume::state_folder;
#[cfg(feature = "torch")]
pub use run::TrainSummary;
pub use verifier::{Trunk, VerifierObjective, VerifierRules};
