//! Rounds of search and training: the configuration, the stages under one contract, runs and experiments.
//!
//! ```text
//!   config/   every setting, declared once           contract/  fresh, half done, done or foreign; stage.json
//!      │                                                 │
//!      └──► Context: settings, program, observer ◄───────┘
//!                │
//!   stage/    search ─► pairs ─► sft, prefer, value ─► extrapolate ─► eval          one unit of work each
//!                │
//!   run/      a run's folder, its problems, one round as a page                     experiment/  runs side by side
//! ```
//! Nothing here prints: an [`Observer`](context::Observer) is told what a person should see. A stage gives back a manifest,
//! which is also the last file that it writes; see [`contract`].
//!
//! Without the feature `local` nothing here needs LibTorch: search and evaluation over servers, and pairs, remain.
//!
//! Errors are chains of causes for people, each with the file or value that was wrong ([`anyhow`]): the callers of this crate
//! are commands and scripts that can only stop, and the libraries below have their own documented enums.
//!
//! ```
//! use espalier_rounds::config::RunConfig;
//!
//! let small = RunConfig::small();
//! small.check()?;
//! // What decides a result and differs from the paper's defaults is the canonical form, of which identities are made.
//! assert_eq!(small.canonical()?["search.simulations"], 16);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests break files on purpose"))]

pub mod config;
pub mod context;
pub mod contract;
#[cfg(feature = "local")]
pub mod experiment;
mod judging;
#[cfg(feature = "local")]
pub mod run;
pub mod stage;
