//! Parquet of other people: opened, and read batch by batch, so that a damaged file is an error and nothing worse.
//!
//! ```text
//!   open_table   footer and heads of pages checked before the library believes them ──► its builder
//!   batches      the rows, with the library's panics as errors
//!   rows_at_a_time, TableBytes   bounds on what a table may take in memory
//! ```
//! The library itself (60.1) counts items that no file holds, makes room for values that are not there, and panics at
//! what is out of range.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make broken files"))]
#![forbid(unsafe_code)]

mod bounds;
mod footer;
mod open;

pub use bounds::{TableBytes, rows_at_a_time};
pub use open::{Batches, TableError, batches, open_table};
