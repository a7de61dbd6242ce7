//! One contract of every stage: its identity decides whether its output is fresh, half done, done or foreign.
//!
//! ```text
//!   no record, nothing there ──► fresh      the record is written, then work begins
//!   equal, no manifest ────────► half done  work goes on
//!   equal, manifest ───────────► done       what it says is returned; nothing is touched
//!   all else ──────────────────► foreign    refused in one line that names the key that differs, or the stranger's file
//! ```
//! The output is locked while it is worked on. `--overwrite` removes what this very stage made, and begins anew.

mod identity;
mod place;
mod record;
mod work;

pub use identity::Identity;
pub use place::{MANIFEST, Place, RECORD};
pub use record::{Done, Process, Record, now};
pub use work::{Begun, Work, begin};
