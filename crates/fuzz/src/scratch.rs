//! Where inputs become files.

use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder for the files of one target, in memory where the system has such a place.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A new empty folder.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> io::Result<Scratch> {
        let memory = Path::new("/dev/shm");
        let begun = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Ok(Scratch { folder: begun.or_else(|_| tempfile::tempdir())? })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where a file of this name lies.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, over the one before.
    ///
    /// # Panics
    /// When the file cannot be written: nothing could be tried then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }

    /// The bytes of a file.
    ///
    /// # Panics
    /// When there is none: a writer of the project has failed.
    pub fn take(&self, name: &str) -> Vec<u8> {
        let path = self.file(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }
}
