//! Methods side by side: the same policies, the same trees, one training apart.
//!
//! ```text
//!  seed, granularity ─► warm start ─► search ─┬─► sft            as it is
//!   (one "block")                             ├─► step_apo_alone pairs only
//!                                             ├─► found_sft      found paths only
//!                                             ├─► more_sft       as many further steps on worked solutions only
//!                                             ├─► rejection_sft  worked solutions and found paths ─┬─► outcome_dpo
//!                                             │                                                    ├─► step_dpo
//!                                             └── pairs, trees ────────────────────────────────────┴─► step_apo
//! ```
//! Every method of a block starts from one policy and learns from one sample of trees, so that the sampling budget is
//! equal to the token and differences between methods can be taken within a block. Blocks are the unit of replication:
//! intervals are Student's t over them. Every stage publishes its output, so a killed experiment goes on where it was.

mod block;
mod method;
mod results;
mod run;
mod train;

pub use method::Method;
pub use results::{Estimate, MethodResult, Row, rows};
pub use run::run_block;
