//! Copies that appear whole.

use crate::error::FilesError;
use crate::folder::{Existing, publish_folder};
use crate::publish::publish_file;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Copies a file, or a folder with all that is in it, to a place where nothing is.
///
/// # Errors
/// [`FilesError::Exists`]; a file that cannot be read or written.
pub fn copy_whole(from: &Path, to: &Path) -> Result<(), FilesError> {
    if from.is_dir() { publish_folder(to, Existing::Refused, |folder| fill(from, folder)) } else { copy_file(from, to) }
}

/// Copies the files that lie in a folder, none of its folders, into another that is not published yet. (A hard link would
/// change with its source when another program writes into the same file.)
///
/// # Errors
/// A file that cannot be read or written.
pub fn copy_files(from: &Path, folder: &Path) -> Result<(), FilesError> {
    for entry in fs::read_dir(from).map_err(FilesError::read(from))? {
        let path = entry.map_err(FilesError::read(from))?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            let target = folder.join(name);
            fs::copy(&path, &target).map_err(FilesError::write(&target))?;
        }
    }
    Ok(())
}

fn fill(from: &Path, folder: &Path) -> Result<(), FilesError> {
    for entry in fs::read_dir(from).map_err(FilesError::read(from))? {
        let entry = entry.map_err(FilesError::read(from))?;
        let (path, target) = (entry.path(), folder.join(entry.file_name()));
        if path.is_dir() {
            fs::create_dir(&target).map_err(FilesError::write(&target))?;
            fill(&path, &target)?;
        } else {
            // The folder is brought to the disk as one.
            fs::copy(&path, &target).map_err(FilesError::write(&target))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), FilesError> {
    crate::folder::refuse_existing(to)?;
    let mut source = File::open(from).map_err(FilesError::read(from))?;
    publish_file(to, |file| io::copy(&mut source, file).map(drop).map_err(FilesError::write(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_copied_once() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("deep/to"));
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::write(from.join("inner/file"), "text").unwrap();
        copy_whole(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("inner/file")).unwrap(), "text");
        assert!(matches!(copy_whole(&from, &to), Err(FilesError::Exists { .. })));
        let file = root.path().join("file");
        copy_whole(&to.join("inner/file"), &file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        assert!(matches!(copy_whole(&to.join("inner/file"), &file), Err(FilesError::Exists { .. })));
        assert!(copy_whole(&root.path().join("missing"), &root.path().join("other")).is_err());
        assert!(!root.path().join("other").exists());
    }
}
