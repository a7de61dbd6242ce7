//! SHA-256 of values, files and folders, in hexadecimal.

use crate::error::FilesError;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// The fingerprint of anything that serialises, by its compact JSON.
pub fn fingerprint(value: &(impl Serialize + ?Sized)) -> Result<String, FilesError> {
    let mut hash = HashWriter(Sha256::new());
    serde_json::to_writer(&mut hash, value).map_err(FilesError::Encode)?;
    Ok(hex::encode(hash.0.finalize()))
}

/// JSON goes into the hash piece by piece: data sets are never held twice.
struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The fingerprint of a file's content.
pub fn hash_file(path: &Path) -> Result<String, FilesError> {
    let mut hash = Sha256::new();
    feed(&mut hash, path)?;
    Ok(hex::encode(hash.finalize()))
}

/// The fingerprint of a file's content, or of the names and contents of a folder's files that `counts` takes by their
/// names, in the order of the names. Hidden files and folders below do not count.
pub fn hash_path(path: &Path, counts: impl Fn(&str) -> bool) -> Result<String, FilesError> {
    if !path.is_dir() {
        return hash_file(path);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(FilesError::read(path))? {
        let entry = entry.map_err(FilesError::read(path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && counts(&name) && entry.path().is_file() {
            names.push(name);
        }
    }
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        let file = path.join(&name);
        let bytes = fs::metadata(&file).map_err(FilesError::read(&file))?.len();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(bytes.to_le_bytes());
        feed(&mut hash, &file)?;
    }
    Ok(hex::encode(hash.finalize()))
}

fn feed(hash: &mut Sha256, path: &Path) -> Result<(), FilesError> {
    let mut file = File::open(path).map_err(FilesError::read(path))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FilesError::read(path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_of_a_value_is_that_of_its_json() {
        // `printf '[1,2]' | sha256sum`.
        let known = "49a64717d5d4cb19952e6eac2946415cf6879adacf9908e7d872332d32c6e684";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        fs::write(&path, "[1,2]").unwrap();
        assert_eq!(fingerprint(&[1, 2]).unwrap(), known);
        assert_eq!(hash_file(&path).unwrap(), known);
    }

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let of = |files: &[(&str, &str)]| {
            let named: Vec<String> = files.iter().map(|(name, text)| format!("{name}={text}")).collect();
            let root = folder.path().join(named.join(" "));
            fs::create_dir(&root).unwrap();
            files.iter().for_each(|(name, text)| fs::write(root.join(name), text).unwrap());
            hash_path(&root, |name| name != "ignored").unwrap()
        };
        let one = of(&[("a", "12"), ("b", "3")]);
        assert_eq!(one, of(&[("b", "3"), ("a", "12")]));
        assert_eq!(one, of(&[("a", "12"), ("b", "3"), ("ignored", "x"), (".hidden", "x")]));
        assert_ne!(one, of(&[("a", "1"), ("b", "23")]));
        assert_ne!(one, of(&[("a", "12"), ("c", "3")]));
    }
}
