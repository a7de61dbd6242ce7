//! The command line of espalier: flags, progress, tables and pages over the library of rounds.
//!
//! ```text
//!   mcts-gen   search · pairs · complete · score · show       command/ ──► espalier_rounds: stages, runs, experiments
//!   step-train init · round · report · experiment             one file          │
//!              sft · prefer · value · eval                    a command         ▼
//!              compare · compare-evals · judge                   │        terminal: what its observer is told
//!              objective · settings                              └──────► report/: tables, pages
//! ```
//!
//! A *command* lists the settings that it takes as flags, resolves a configuration and hands it to a *stage*
//! ([`espalier_rounds::stage`]), which does the work under one contract ([`espalier_rounds::contract`]): any command may be
//! killed and given again. Without the feature `local` only what servers can do remains: `mcts-gen` without `score`.
//!
//! Exit codes: 0 all done, 1 some items failed and were skipped, 2 could not run.
#![warn(clippy::print_stderr)]

pub mod command;
pub mod exit;
pub mod log;
pub mod parse;
#[cfg(feature = "local")]
pub mod report;
pub mod session;
pub mod shown;
pub mod terminal;
