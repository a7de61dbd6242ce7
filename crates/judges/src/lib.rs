//! Judges: what a step or a path is worth, said by rules, by programs, and by models on servers.
//!
//! ```text
//!                                              ┌─ rules: Answer, Choices, Compare, Countdown, Equations, Format, Refusal, Route, Tests
//!  Asked (problem, steps so far, step, answer) ┼─ Program: lines of JSON to and from a process of any language
//!                 │                            └─ ServerJudge: a language model that is asked, or a reward model
//!                 └──► Remembered ──► Scorer ──► a number in [0, 1] for each question, 1 passes; or nothing, never a guess
//! ```
//!
//! A judge says nothing (`None`) where it cannot tell: without a reference, when its program or server is gone. Why that was is
//! in [`Scorer::trouble`]. What a model wrote is data to all of them: nothing in a solution can answer in its judge's place.
//! How verdicts become rewards is up to who asks.
//!
//! Nothing here knows trees. Of the project's letters none is needed.
//!
//! ```
//! use espalier_judges::{Answer, Asked, Equations, Remembered, Scorer};
//! use espalier_task::Problem;
//!
//! let problem = Problem { question: "What is 6 * 8 / 2?".into(), answer: "24".into(), ..Problem::default() };
//! let step = r"6 * 8 = 46, and half of it is \boxed{24}.";
//! let asked = [Asked { problem: &problem, steps: &[], step, answer: Some("24"), is_end: true }];
//! assert_eq!(Answer.score(&asked), [Some(1.0)]);
//! assert_eq!(Remembered::new("equations", Equations, 1000).score(&asked), [Some(0.0)]); // right, by a wrong way
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests write the programs that they run"))]

mod built_in;
mod command;
mod crew;
mod error;
mod remembered;
mod scorer;
mod server;
mod standing;
#[cfg(test)]
mod testing;

pub use built_in::{Answer, Choices, Compare, Countdown, Equations, Format, Refusal, Route, Tests, agreement};
pub use command::{CommandConfig, Program};
pub use error::JudgeError;
pub use remembered::Remembered;
pub use scorer::{Asked, Scope, Scorer};
pub use server::{Endpoint, Output, ServerJudge, ServerJudgeConfig};
pub use standing::Notice;
