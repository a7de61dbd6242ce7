//! Files that appear whole or not at all.

use crate::error::FilesError;
use crate::kill;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How the hidden name of every unpublished file or folder begins.
pub(crate) const HIDDEN: &str = ".unpublished-";

/// Random characters at the end of a hidden name.
pub(crate) const RANDOM_CHARS: usize = 6;

/// How the hidden name of what is to be `path` begins; [`sweep`](crate::sweep) removes what a kill left of it.
pub(crate) fn hidden_prefix(path: &Path) -> String {
    format!("{HIDDEN}{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

/// A file that is not there yet. Dropped before [`publish`](Self::publish), it leaves nothing.
pub struct Unpublished {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Unpublished {
    /// Opens a hidden file in the folder of `path`, which is made if it is not there.
    pub fn create(path: &Path) -> Result<Unpublished, FilesError> {
        let folder = parent(path);
        fs::create_dir_all(folder).map_err(FilesError::write(folder))?;
        let mut builder = tempfile::Builder::new();
        let prefix = hidden_prefix(path);
        builder.prefix(&prefix).rand_bytes(RANDOM_CHARS);
        // Temporary files are for their owner's eyes; published ones are as open as the user's mask says.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        kill::point();
        let file = builder.tempfile_in(folder).map_err(FilesError::write(path))?;
        Ok(Unpublished { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// The path it will appear at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the bytes lie until then, for a library that writes files by their names.
    pub fn hidden_path(&self) -> &Path {
        self.file.get_ref().path()
    }

    /// Writes everything through to the disk and gives the file its name, over a file that may be there.
    pub fn publish(self) -> Result<(), FilesError> {
        let path = self.path;
        kill::point();
        let file = self.file.into_inner().map_err(|error| FilesError::write(&path)(error.into_error()))?;
        sync(file.path())?;
        kill::point();
        file.persist(&path).map_err(|error| FilesError::write(&path)(error.error))?;
        sync(parent(&path))
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

/// Writes a file by `write` and publishes it.
pub fn publish_file<E: From<FilesError>>(
    path: &Path,
    write: impl FnOnce(&mut Unpublished) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = Unpublished::create(path)?;
    write(&mut file)?;
    Ok(file.publish()?)
}

/// [`publish_file`] for bytes that are there already.
pub fn publish_bytes(path: &Path, bytes: &[u8]) -> Result<(), FilesError> {
    publish_file(path, |file| file.write_all(bytes).map_err(FilesError::write(path)))
}

/// [`publish_file`] for indented JSON with a line break at its end.
pub fn publish_json(path: &Path, value: &(impl Serialize + ?Sized)) -> Result<(), FilesError> {
    let mut text = serde_json::to_string_pretty(value).map_err(FilesError::Encode)?;
    text.push('\n');
    publish_bytes(path, text.as_bytes())
}

/// Reads a JSON file.
///
/// # Errors
/// [`FilesError::Json`] for an empty, damaged or other content; the message says what to do.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FilesError> {
    let bytes = fs::read(path).map_err(FilesError::read(path))?;
    serde_json::from_slice(&bytes).map_err(|source| FilesError::Json { path: path.to_owned(), source })
}

/// The folder of a path; the current one for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Brings a file's bytes, or a folder's names, to the disk.
pub(crate) fn sync(path: &Path) -> Result<(), FilesError> {
    kill::point();
    match File::open(path).and_then(|file| file.sync_all()) {
        // Some file systems sync no folder, and say so.
        Err(error) if path.is_dir() && error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(FilesError::write(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_published_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file");
        let failed =
            publish_file(&path, |_| Err::<(), _>(FilesError::Exists { path: PathBuf::from("a reason to stop") }));
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 0);
    }

    #[test]
    #[cfg(unix)]
    fn published_files_have_the_mode_that_the_mask_gives() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        publish_json(&ours, &1).unwrap();
        fs::write(&plain, "1").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn an_empty_json_file_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.json");
        fs::write(&path, "").unwrap();
        let error = read_json::<u32>(&path).unwrap_err().to_string();
        assert!(error.contains("identity.json is damaged") && error.contains("remove it"), "{error}");
    }
}
