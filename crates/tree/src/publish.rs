//! Files that appear whole or not at all: written beside their path under a hidden name, then renamed.

use crate::error::TreeError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is not there yet.
pub(crate) struct Unpublished {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Unpublished {
    /// Opens a hidden file in the folder of `path`. Dropped before [`publish`](Self::publish), it is removed.
    pub(crate) fn create(path: &Path) -> Result<Unpublished, TreeError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".unpublished-");
        // Temporary files are for their owner's eyes; published ones are as open as the user's mask says.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).map_err(TreeError::write(path))?;
        Ok(Unpublished { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// The path it will appear at.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes everything through to the disk and gives the file its name, over what may be there.
    pub(crate) fn publish(self) -> Result<(), TreeError> {
        let path = self.path;
        let file = self.file.into_inner().map_err(|error| TreeError::write(&path)(error.into_error()))?;
        // A name must never survive a power failure that its bytes do not.
        File::sync_all(file.as_file()).map_err(TreeError::write(&path))?;
        file.persist(&path).map_err(|error| TreeError::write(&path)(error.error))?;
        Ok(())
    }
}

impl Write for Unpublished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
