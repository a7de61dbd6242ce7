//! What is to be solved, and what counts as solved: problems, tasks, answers, and generated problem families.
//!
//! ```text
//!  JSONL, JSON, Parquet ──► load_problems ─┐                ┌─► prompt ──► (a policy samples steps)
//!  a published set ───────► load_dataset ──┼─► Problem ─────┤                        │ text
//!  seed ──► families::generate ────────────┘     │ answer   └─► segments             ▼
//!                                                │              (to learn from)   read_step ──► plan, step, malformed
//!                                                ▼                                   │ boxed answer
//!                                            equivalent ◄────────────────────────────┘
//!
//!  any text of a model ──► Grader: extract, then equivalent, or for programs Sandbox ──► right or wrong
//! ```
//!
//! Nothing here knows models, trees, or searching. Of the project's letters (B pairs, T tokens, K candidates, V
//! vocabulary, N nodes) none is needed: this crate is about texts.
//!
//! ```
//! use espalier_task::families::{GenerateConfig, Split, generate};
//! use espalier_task::{Format, Granularity, StepText, Task, equivalent};
//!
//! let config = GenerateConfig {
//!     seed: 7,
//!     families: vec!["buying".to_owned()],
//!     split: Split::Train,
//!     count: 1,
//!     min_steps: 2,
//!     max_steps: 2,
//!     mistakes: 0.0,
//! };
//! let problem = &generate(&config)?[0];
//! let task = Task::built_in(Format::Xml, Granularity::Plan);
//! let prompt = task.prompt(problem)?;
//! assert!(prompt.starts_with("<question>") && prompt.ends_with("</question><plan>"));
//!
//! let worked = problem.solution.as_ref().ok_or("generated problems have solutions")?;
//! let segments = task.segments(worked);
//! assert_eq!(segments.len(), 3); // two plan steps and the solution
//! assert_eq!(task.read_step(&segments[0]), StepText::Plan);
//! match task.read_step(&segments[2]) {
//!     StepText::Solution { answer } => assert!(equivalent(&problem.answer, &answer)),
//!     other => return Err(format!("not a solution: {other:?}").into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and break files"))]
#![forbid(unsafe_code)]

pub mod families;

mod answer;
mod error;
mod grade;
mod load;
mod problem;
mod sandbox;
mod task;
mod write;

pub use answer::{
    AnswerKind, Cell, Equation, FoundBy, Heading, Puzzle, Route, Truth, boxed, equations, equivalent, extract,
};
pub use error::TaskError;
pub use grade::{Grade, Grader};
pub use load::{Dataset, Loaded, Reading, load_dataset, load_problems, load_problems_as};
pub use problem::{CodeTests, Problem, Worked};
pub use sandbox::{Judged, Sandbox, Verdict};
pub use task::{AnswerPlace, ChatWriter, Fault, Format, Granularity, Prompting, Shot, StepText, Task, Turn};
pub use write::write_jsonl;
