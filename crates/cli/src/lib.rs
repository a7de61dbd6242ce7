//! The command line of espalier: everything that reads flags, prints, or knows paths.
//!
//! ```text
//!   mcts-gen   search · pairs · complete · score · show   command/ ──► stage/ ──► policy, search, trainer, task, tree
//!   step-train init · round · report · experiment         one file      one unit of work: inputs, a resolved
//!              sft · prefer · value · eval       run/ ───► a command     configuration, an output folder
//!              compare · compare-evals · judge               │             │
//!              objective · settings                          └─► config/ ◄─┘   every setting, declared once
//! ```
//!
//! A *command* lists the settings that it takes as flags and resolves a configuration ([`config`]); a *stage* does the work and publishes an output
//! folder whose `manifest.json` is written last; a *run* ([`run`]) strings stages into rounds. A stage whose manifest
//! exists is skipped, so any command may be killed and given again.
//!
//! Exit codes: 0 all done, 1 some items failed and were skipped, 2 could not run.

pub mod command;
pub mod exit;
pub mod log;
pub mod parse;
#[cfg(feature = "local")]
pub mod report;
pub mod session;
pub mod terminal;
