//! Runs side by side: the same beginning, each with settings of its own, over seeds.
//!
//! ```text
//!  grid file ─► methods x points of the grid ─► cells      one setting of a run each
//!  seeds ──────────────┐                          │
//!                      ▼                          ▼
//!                  one run for each seed of a cell ─► rounds ─► results ─► rows with intervals
//!                      │ shares with its seed's other runs what is equal: problems, warm start, the first trees
//! ```
//! A seed is the unit of replication: policies, problems and trees of one seed begin alike in all cells, so that differences
//! are taken within a seed, and intervals are Student's t over seeds. A cell's run is a run like any other: what it writes,
//! resumes and refuses is a round's.

mod cell;
mod grid;
mod results;

pub use cell::{CellRun, Ran};
pub use grid::{Cell, Grid};
pub use results::{Estimate, RoundPoint, Row, RunResult, rows};
