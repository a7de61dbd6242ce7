//! What can go wrong with files.

use std::io;
use std::path::{Path, PathBuf};

/// Every error of this crate; each names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The operating system could not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The operating system could not write.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// An output that cannot come into being.
    #[error("the output {} is not writable (at {})", path.display(), at.display())]
    NotWritable {
        /// The output.
        path: PathBuf,
        /// The folder that refuses.
        at: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A JSON file with another content than the program expects.
    #[error("{} is damaged, or not what this version writes; remove it to make it anew", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A value that JSON cannot express.
    #[error("cannot encode a value as JSON")]
    Encode(#[source] serde_json::Error),
    /// An output that must not be replaced.
    #[error("{} exists already; choose another --out or remove it", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// An output that another process works on.
    #[error("{} is being written by {holder}; wait for it or choose another --out", path.display())]
    Locked {
        /// The output.
        path: PathBuf,
        /// The process, its machine and its command line.
        holder: String,
    },
    /// A file that no journal ever was.
    #[error("{} is not a journal of this version; remove it or give another path", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A record beyond the journal's 32-bit lengths.
    #[error("a record of {bytes} bytes for {} is more than a journal holds", path.display())]
    TooLarge {
        /// The journal.
        path: PathBuf,
        /// Size of the record.
        bytes: usize,
    },
}

impl FilesError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> FilesError + '_ {
        |source| FilesError::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> FilesError + '_ {
        |source| FilesError::Write { path: path.to_owned(), source }
    }
}
