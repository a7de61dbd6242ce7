//! What appears on disk whole or not at all, and the names that say what it is.
//!
//! ```text
//!   publish_file, publish_bytes, publish_json ──┐   hidden name beside the target ─► written ─► synced ─► renamed
//!   publish_folder ─────────────────────────────┘                                   ─► the folder of the target synced
//!   Journal   records appended one by one, each with its length and checksum; what a kill tore is cut off
//!   Lock      one process an output; a second one is told who is there
//!   open_input, read_input, input_lines   what others wrote: regular files and lines within bounds
//!   caught    panics of the libraries that decode it, as errors
//!   fingerprint, hash_file, hash_path, seed_from, unit_interval
//! ```
//!
//! A file gets the mode that the user's mask gives; a name never survives a power failure that its bytes do not. All other
//! crates write through this one (clippy's `disallowed-methods` keeps it so).
//!
//! ```
//! use espalier_files::{Lock, publish_json, read_json, seed_from};
//!
//! let folder = tempfile::tempdir()?;
//! let out = folder.path().join("numbers.json");
//! let lock = Lock::acquire(&out)?;
//! assert!(Lock::acquire(&out).unwrap_err().to_string().contains("is being written by process"));
//! publish_json(&out, &[1, 2, 3])?;
//! drop(lock);
//! assert_eq!(read_json::<Vec<u32>>(&out)?, [1, 2, 3]);
//! assert_ne!(seed_from(&[&"ab", &"c"]), seed_from(&[&"a", &"bc"]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "the one crate that the others' files go through")]

mod caught;
mod copy;
mod error;
mod fingerprint;
mod folder;
mod input;
mod journal;
mod kill;
mod lock;
mod publish;
mod seed;

pub use caught::{catches_panics, caught};
pub use copy::{copy_files, copy_whole};
pub use error::FilesError;
pub use fingerprint::{fingerprint, hash_file, hash_path};
pub use folder::{
    Existing, ensure_creatable, ensure_writable, publish_folder, refuse_existing, remove_file, remove_folder, sweep,
};
pub use input::{
    has_extension, input_lines, name_inside, open_input, read_input, read_input_text, read_stream_text, without_mark,
};
pub use journal::Journal;
pub use lock::Lock;
pub use publish::{Unpublished, publish_bytes, publish_file, publish_json, read_json};
pub use seed::{seed_from, unit_interval};
