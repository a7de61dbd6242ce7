//! Judges: what a step or a path is worth, said by rules, by programs, and by models on servers.
//!
//! ```text
//!  Asked (problem, steps so far, step, answer) ──► Scorer ──► a number in [0, 1], or nothing
//! ```
#![forbid(unsafe_code)]

mod built_in;
mod command;
mod crew;
mod error;
mod scorer;
mod server;
mod standing;
#[cfg(test)]
mod testing;

pub use built_in::{Answer, Choices, Compare, Countdown, Equations, Format, Refusal, Tests, agreement};
pub use command::{CommandConfig, Program};
pub use error::JudgeError;
pub use scorer::{Asked, Scope, Scorer};
pub use server::{Endpoint, Output, ServerJudge, ServerJudgeConfig};
pub use standing::Notice;
