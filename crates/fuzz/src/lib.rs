//! Broken, hostile and strange inputs for every loader and parser.
//!
//! ```text
//!   seeds: valid files, by the project's own writers
//!     │                                                 ┌─► accepted: kept, to be changed further
//!     └─► Mutator ── bytes ──► Target::run ── outcome ──┼─► refused: fine
//!                                                       └─► a panic, over 5 s, over 1 GiB: saved, exit code 1
//! ```
//! Each target runs in a process of its own ([`supervise`](supervise())), so that an abort or a full stack ends that one, and the
//! input that did it is on disk. Inputs depend on `--seed` alone. There is no coverage to guide them and none is needed to
//! build: stable Rust, no instrumentation. How deep they come is told by the share that the loaders accept.
#![expect(clippy::disallowed_methods, reason = "inputs are broken files")]

mod mutate;
mod scratch;
mod supervise;
pub mod targets;
mod watch;
mod work;

pub use mutate::Mutator;
pub use scratch::Scratch;
pub use supervise::{Limits, supervise};
pub use work::{Outcome, Run, work};
