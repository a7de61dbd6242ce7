//! The policy on servers: any that speak OpenAI's completions API (vLLM, SGLang, llama.cpp).
//!
//! ```text
//!  StepRequest ─► K candidates ─► queue ─► max_requests threads ─► the server with the fewest pending ─┐
//!                                              ▲      failed: the next one, or the same one later ◄────┤
//!  Expansion ◄─ all K are there ◄─ tokens, text ◄──────────────────────────────────────────────────────┘
//! ```
//!
//! [`ServerPolicy`] is an [`espalier_search::Policy`]. A tree stores token ids, so prompts go out as ids where the server
//! takes them, and the sampled tokens come back as ids or are looked up in the tokenizer's vocabulary; texts and stop strings
//! are then found as the local policy finds them. There is no value head on a server: values come from rollouts, or there
//! are none. What passes (a server that is away, overloaded or garbles its answer) is waited for and tried again; what does
//! not pass is said at the start, in one line.
//!
//! [`Posts`] sends whatever JSON to the same servers in the same way, one request at a time, and asks `/pooling` for the
//! numbers of texts: judges and values are asked by it.
//!
//! Letters: K candidates of a request.
//!
//! ```
//! use espalier_server::Servers;
//!
//! let servers = Servers::parse(["http://localhost:8000,http://other:8000/v1#org/model"])?;
//! assert!(Servers::parse(["localhost:8000"]).is_err());
//! # let _ = servers;
//! # Ok::<(), espalier_server::ServerError>(())
//! ```
//!
//! [`ServerPolicy::open`] then meets them. The feature `testing` has a fake server, with faults, for tests without a model.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests prepare folders of foreign files"))]

mod address;
mod call;
mod candidate;
mod config;
mod endpoints;
mod error;
mod exceptions;
mod handshake;
mod policy;
mod pooling;
mod posts;
mod reachable;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
mod trust;
mod wire;
mod workers;

pub use address::Servers;
pub use config::{Backoff, ServerConfig};
pub use error::ServerError;
pub use policy::ServerPolicy;
pub use pooling::{PoolInput, Pooled, no_number, probability, results};
pub use posts::{PostError, Posts};
