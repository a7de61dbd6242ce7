//! A language model that answers the search's requests: many trees in one batch, whatever begins alike computed once.
//!
//! ```text
//!  StepRequest ─► queue ─► prefill what the cache lacks        ─► K rows decode together ─► Expansion
//!                                  ▲                                   │
//!                                  └──── keys and values by text ◄────┘
//! ```
//!
//! [`ModelPolicy`] is an [`espalier_search::Policy`] over a model on a device of this machine, [`DevicesPolicy`] one over several;
//! [`score`] says how likely
//! the model finds texts that somebody else wrote; a [`Verifier`] values the states along given paths, with the deviation over
//! its heads. The strings that end steps and paths come with each request, so one
//! loaded model serves any number of formats.
//!
//! Letters: K candidates of a request, T tokens, V vocabulary, H width of the residual stream.
//!
//! ```
//! use espalier_model::{ModelConfig, Transformer};
//! use espalier_policy::{ModelPolicy, PolicyConfig};
//! use espalier_search::{Policy, PolicyError, StepRequest, Stops, Unit, ask_all};
//! use espalier_tokenizer::Tokenizer;
//! use std::borrow::Cow;
//!
//! let tokenizer = Tokenizer::train_bpe(["<step>6 + 7 = 13</step>"; 3], 300, &["<step>", "</step>"])?;
//! let shape = ModelConfig::llama(tokenizer.vocab_size(), 32, 64, 2, 4, 2, 128)?;
//! let model = Transformer::init(&shape, 1, tch::Device::Cpu)?;
//! let mut policy = ModelPolicy::new(model, tokenizer, PolicyConfig::default())?;
//!
//! let prefix_ids = policy.tokenize("<step>6 + 7")?;
//! let stops = Stops { step: ["</step>".to_owned()].into(), ..Stops::default() };
//! let request = StepRequest {
//!     ticket: 0,
//!     tree: 0,
//!     step_ends: vec![prefix_ids.len() as u32].into(),
//!     prefix_ids: prefix_ids.into(),
//!     k: 3,
//!     max_tokens: 20,
//!     unit: Unit::Step,
//!     stops: Cow::Borrowed(&stops),
//!     temperature: 1.0,
//!     seed: 7,
//!     want_value: false,
//! };
//! ask_all(&mut policy, [request], |_, answer| {
//!     let candidates = answer?.candidates;
//!     assert!(candidates.len() == 3 && candidates.iter().all(|candidate| candidate.token_ids.len() <= 20));
//!     Ok::<_, PolicyError>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod config;
mod devices;
mod error;
mod numerics;
mod policy;
mod request;
mod rows;
mod running;
mod sampler;
mod score;
mod verifier;

#[doc = include_str!("scheduling.md")]
pub mod scheduling {}

pub use config::PolicyConfig;
pub use devices::DevicesPolicy;
pub use error::ModelPolicyError;
pub use numerics::kind;
pub use policy::{ModelPolicy, open_policy};
pub use score::{Scored, Scoring, score};
pub use verifier::{StateValue, ValuedPath, Verifier};
