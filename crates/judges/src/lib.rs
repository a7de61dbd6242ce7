//! Judges: what a step or a path is worth, said by rules, by programs, and by models on servers.
//!
//! ```text
//!  Asked (problem, steps so far, step, answer) ──► Scorer ──► a number in [0, 1], or nothing
//! ```
#![forbid(unsafe_code)]

mod scorer;

pub use scorer::{Asked, Scope, Scorer};
