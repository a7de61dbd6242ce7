//! A language model that answers the search's requests: many trees in one batch, prefixes computed once per tree.
//!
//! ```text
//!  StepRequest ─► queue ─► prefill what the tree's cache lacks ─► K rows decode together ─► Expansion
//!                                  ▲                                   │
//!                                  └──── keys and values by state ◄────┘
//! ```
//!
//! [`ModelPolicy`] implements [`espalier_search::Policy`]; [`generate`] answers whole prompts greedily over the same
//! batch. [`RemotePolicy`] implements it too, over servers that speak OpenAI's completions API, without LibTorch.

mod cache;
mod config;
mod error;
mod generate;
mod policy;
mod remote;
mod rows;
mod running;
mod sampler;
mod score;
mod stats;

pub use config::{PolicyConfig, SamplingConfig};
pub use error::ModelPolicyError;
pub use generate::generate;
pub use policy::{ModelPolicy, open_policy};
pub use remote::{Backoff, RemoteConfig, RemoteError, RemotePolicy, RemoteStats, Servers};
pub use score::{Scored, Scoring, score};
pub use stats::PolicyStats;
