//! Which files preferences are read from: what is read and what is fingerprinted is the same.

use crate::stage::shards::is_part;
use anyhow::{Context, Result};
use espalier_files::{has_extension, hash_path, name_inside};
use std::path::{Path, PathBuf};

/// Extensions of files of preferences, packed or not. Of a folder with several kinds, the first that it has is read.
const KINDS: [&[&str]; 3] = [&["parquet"], &["jsonl", "ndjson"], &["json"]];

/// Whether a file holds JSON, in lines or as an array.
pub(super) fn is_json(path: &Path) -> bool {
    path.is_file() && KINDS[1..].iter().any(|kind| is_of(kind, path))
}

fn is_of(kind: &[&str], path: &Path) -> bool {
    kind.iter().any(|extension| has_extension(&name_inside(path), extension))
}

/// What is read for `path`, in its order: the file, the parts of a folder of `mcts-gen` as one, or else the files of a
/// folder by name. Of a data set with splits, as Hugging Face lays it out (`train-00000-of-00001.parquet`), those for
/// training.
pub(super) fn sources(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(match names(path)? {
        Some(names) => names.iter().map(|name| path.join(name)).collect(),
        None => vec![path.to_owned()],
    })
}

/// The fingerprint of what is read for `path`.
///
/// # Errors
/// A file or a folder that cannot be read.
pub fn fingerprint(path: &Path) -> Result<String> {
    let names = names(path)?;
    let counts = |name: &str| names.as_ref().map_or(is_part(name), |names| names.iter().any(|own| own == name));
    Ok(hash_path(path, counts)?)
}

/// The names of a folder's files that are read one by one.
fn names(path: &Path) -> Result<Option<Vec<String>>> {
    if !path.is_dir() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for entry in path.read_dir().with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().is_file() {
            all.push(name);
        }
    }
    if all.iter().any(|name| is_part(name)) {
        return Ok(None);
    }
    all.sort();
    let of_kind =
        |kind: &&[&str]| -> Vec<String> { all.iter().filter(|name| is_of(kind, Path::new(name))).cloned().collect() };
    let found = KINDS.iter().map(of_kind).find(|names| !names.is_empty());
    Ok(found.map(|mut names| {
        if names.iter().any(|name| name.starts_with("train")) {
            names.retain(|name| name.starts_with("train"));
        }
        names
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_files::{hash_file, publish_bytes};

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| publish_bytes(&folder.path().join(name), name.as_bytes()).unwrap());
        folder
    }

    #[test]
    fn a_folder_is_its_parts_or_its_files_of_one_kind_and_split() {
        let read = |names: &[&str]| {
            let folder = folder(names);
            let sources = sources(folder.path()).unwrap();
            let names =
                sources.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(read(&["part-00000.parquet", "ranked_lists.jsonl", "more.parquet"]), [""]);
        assert_eq!(read(&["README.md"]), [""]);
        assert_eq!(
            read(&["test-0.parquet", "train-1.parquet", "train-0.parquet", "info.json"]),
            ["train-0.parquet", "train-1.parquet"]
        );
        assert_eq!(read(&["b.jsonl.gz", "a.ndjson", "info.json", ".hidden.jsonl"]), ["a.ndjson", "b.jsonl.gz"]);
        assert_eq!(read(&["a.json.gz"]), ["a.json.gz"]);
    }

    #[test]
    fn what_is_read_and_nothing_else_is_in_the_fingerprint() {
        let made = folder(&["train.jsonl", "test.jsonl", "part-0.parquet"]);
        let of = |folder: &tempfile::TempDir| fingerprint(folder.path()).unwrap();
        let parts = of(&made);
        publish_bytes(&made.path().join("train.jsonl"), b"other").unwrap();
        assert_eq!(of(&made), parts);
        publish_bytes(&made.path().join("part-0.parquet"), b"other").unwrap();
        assert_ne!(of(&made), parts);

        let texts = folder(&["train.jsonl", "test.jsonl"]);
        let train = of(&texts);
        publish_bytes(&texts.path().join("test.jsonl"), b"other").unwrap();
        assert_eq!(of(&texts), train);
        publish_bytes(&texts.path().join("train.jsonl"), b"other").unwrap();
        assert_ne!(of(&texts), train);
        let file = texts.path().join("train.jsonl");
        assert_eq!(fingerprint(&file).unwrap(), hash_file(&file).unwrap());
    }
}
