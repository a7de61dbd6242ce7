//! Folders that appear whole or not at all, and what may be removed.

use crate::error::FilesError;
use crate::kill;
use crate::publish::{HIDDEN, RANDOM_CHARS, hidden_prefix, parent, sync};
use std::fs;
use std::io;
use std::path::Path;

/// What is done with a folder that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// An error; nothing is touched.
    Refused,
    /// One atomic exchange, after which the old folder is removed. The caller knows that it is its own.
    Replaced,
}

/// Makes a folder and proves that files can be written there, before any costly work.
pub fn ensure_writable(folder: &Path) -> Result<(), FilesError> {
    let refused = |source| FilesError::NotWritable { path: folder.to_owned(), at: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(refused)?;
    tempfile::tempfile_in(folder).map(drop).map_err(refused)
}

/// Proves that `out` can come into being, without making it: its nearest existing ancestor must take files.
pub fn ensure_creatable(out: &Path) -> Result<(), FilesError> {
    let mut above = out.ancestors().skip(1).map(|at| if at.as_os_str().is_empty() { Path::new(".") } else { at });
    let ancestor = above.find(|at| at.exists()).unwrap_or(Path::new("."));
    let refused = |source| FilesError::NotWritable { path: out.to_owned(), at: ancestor.to_owned(), source };
    tempfile::tempfile_in(ancestor).map(drop).map_err(refused)
}

/// Refuses an output that is there already.
///
/// # Errors
/// [`FilesError::Exists`].
pub fn refuse_existing(out: &Path) -> Result<(), FilesError> {
    if out.exists() { Err(FilesError::Exists { path: out.to_owned() }) } else { Ok(()) }
}

/// Builds a folder under a hidden name and renames it to `out`, so that it is there whole or not at all. Every file in it
/// is on the disk before it has its name.
///
/// # Errors
/// [`FilesError::Exists`] if `out` is there and `existing` refuses it; else whatever `build` fails with.
pub fn publish_folder<E: From<FilesError>>(
    out: &Path,
    existing: Existing,
    build: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let exists = || FilesError::Exists { path: out.to_owned() };
    if existing == Existing::Refused {
        refuse_existing(out)?;
    }
    let above = parent(out);
    fs::create_dir_all(above).map_err(FilesError::write(above))?;
    kill::point();
    let scratch = scratch(out)?;
    let inner = scratch.path().join("folder");
    fs::create_dir(&inner).map_err(FilesError::write(&inner))?;
    build(&inner)?;
    sync_all(&inner)?;
    kill::point();
    if existing == Existing::Replaced && out.exists() {
        exchange(&inner, out)?;
    } else if let Err(error) = rename_to_nothing(&inner, out) {
        let taken = error.kind() == io::ErrorKind::AlreadyExists;
        return Err(if taken { exists() } else { FilesError::write(out)(error) }.into());
    }
    Ok(sync(above)?)
}

/// A hidden folder beside `out`.
fn scratch(out: &Path) -> Result<tempfile::TempDir, FilesError> {
    let (above, prefix) = (parent(out), hidden_prefix(out));
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).rand_bytes(RANDOM_CHARS).tempdir_in(above).map_err(FilesError::write(above))
}

/// A rename that never takes the place of a folder that came in between.
fn rename_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems that know no flags; an empty folder is all that the plain rename would replace.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Both names are there at every moment.
fn exchange(new: &Path, old: &Path) -> Result<(), FilesError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let exchanged = renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE);
    exchanged.map_err(|error| FilesError::write(old)(error.into()))
}

/// Brings every file below a folder to the disk, then the folders themselves.
fn sync_all(folder: &Path) -> Result<(), FilesError> {
    for entry in fs::read_dir(folder).map_err(FilesError::read(folder))? {
        let path = entry.map_err(FilesError::read(folder))?.path();
        if path.is_dir() { sync_all(&path)? } else { sync(&path)? }
    }
    sync(folder)
}

/// Removes a file that may not be there.
pub fn remove_file(path: &Path) -> Result<(), FilesError> {
    kill::point();
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FilesError::write(path)(error)),
        _ => Ok(()),
    }
}

/// Removes a folder that may not be there. Its name goes first, so that no half of it is ever seen.
pub fn remove_folder(path: &Path) -> Result<(), FilesError> {
    if !path.exists() {
        return Ok(());
    }
    let scratch = scratch(path)?;
    kill::point();
    fs::rename(path, scratch.path().join("folder")).map_err(FilesError::write(path))?;
    kill::point();
    scratch.close().map_err(FilesError::write(path))
}

/// Removes what killed processes left unpublished of `out`: beside it and, if it is a folder, in it. The caller holds the
/// lock of `out`.
pub fn sweep(out: &Path) -> Result<(), FilesError> {
    let own = hidden_prefix(out);
    let is_own = |name: &str| name.strip_prefix(&own).is_some_and(|random| random.len() == RANDOM_CHARS);
    remove_hidden(parent(out), is_own)?;
    remove_hidden(out, |name| name.starts_with(HIDDEN))
}

fn remove_hidden(folder: &Path, goes: impl Fn(&str) -> bool) -> Result<(), FilesError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(FilesError::read(folder))? {
        let path = entry.map_err(FilesError::read(folder))?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(&goes) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(FilesError::write(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &'static str) -> impl FnOnce(&Path) -> Result<(), FilesError> {
        move |folder| fs::write(folder.join("file"), text).map_err(FilesError::write(folder))
    }

    #[test]
    fn a_folder_that_failed_to_build_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("policy");
        let failed = publish_folder(&out, Existing::Refused, |folder| {
            write("x")(folder)?;
            Err(FilesError::Exists { path: folder.to_owned() })
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_published_folder_is_replaced_only_on_request() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("policy");
        publish_folder(&out, Existing::Refused, write("one")).unwrap();
        let error = publish_folder(&out, Existing::Refused, write("two")).unwrap_err();
        assert!(matches!(error, FilesError::Exists { .. }));
        publish_folder(&out, Existing::Replaced, write("three")).unwrap();
        assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "three");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_came_in_between_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("policy");
        let error = publish_folder(&out, Existing::Refused, |folder| {
            write("ours")(folder)?;
            publish_folder(&out, Existing::Refused, write("theirs"))
        });
        assert!(matches!(error, Err(FilesError::Exists { .. })));
        assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "theirs");
    }

    #[test]
    fn only_leftovers_of_the_output_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for folder in [".unpublished-out.abcdef", "out/.unpublished-part.abcdef"] {
            fs::create_dir_all(at(folder)).unwrap();
            fs::write(at(folder).join("model"), "x").unwrap();
        }
        // Those of other outputs, which may be at work, and of nobody.
        let kept = [".unpublished-out.b.abcdef", ".unpublished-other.abcdef", "thesis.txt"];
        kept.iter().for_each(|name| fs::write(at(name), "x").unwrap());
        sweep(&at("out")).unwrap();
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [kept[1], kept[0], "out", kept[2]]);
        assert_eq!(fs::read_dir(at("out")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_as_output_is_no_obstacle_to_its_own_folder() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("e.json");
        fs::write(&file, "x").unwrap();
        ensure_creatable(&file).unwrap();
        assert!(ensure_creatable(&file.join("below")).is_err());
    }
}
