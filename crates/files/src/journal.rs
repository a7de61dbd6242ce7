//! Records on disk before what they belong to is whole.
//!
//! ```text
//! [magic 8] [len u32][crc32 u32][payload] [len u32][crc32 u32][payload] ...
//! ```
//! A process that is killed loses nothing that [`Journal::append`] was given: the bytes are with the operating system
//! when it returns. What a kill may leave half written, the last record, is cut off when the journal is opened again.

use crate::error::FilesError;
use crate::kill;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a record's length and checksum.
const FRAME_BYTES: usize = 8;

/// Bytes of the mark at the beginning of every journal, which names the kind and version of its records.
pub const MAGIC_BYTES: usize = 8;

/// An append-only file of records.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the file up to the end of the last whole record.
    end: u64,
    /// Whether a part of a record that could not be written may stand behind `end`.
    is_torn: bool,
    record: Vec<u8>,
}

impl Journal {
    /// Opens the journal at `path`, or begins one there, and gives each record that is in it to `found`, in the order in
    /// which they were appended. From the first record on that is cut short or has a wrong checksum, the journal is cut off.
    ///
    /// # Errors
    /// [`FilesError::NotAJournal`] when the file begins otherwise (it is left as it is); else what `found` fails with.
    pub fn open<E: From<FilesError>>(
        path: &Path,
        magic: [u8; MAGIC_BYTES],
        found: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Journal, E> {
        kill::point();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(FilesError::write(path))?;
        let end = read(&file, path, magic, found)?;
        cut(&mut file, end).map_err(FilesError::write(path))?;
        if end == 0 {
            file.write_all(&magic).map_err(FilesError::write(path))?;
        }
        let end = end.max(MAGIC_BYTES as u64);
        Ok(Journal { path: path.to_owned(), file, end, is_torn: false, record: Vec::new() })
    }

    /// Appends the record that `write` makes and hands it to the operating system.
    ///
    /// # Errors
    /// When the disk refuses; what it did take of the record is cut off by the next append or opening.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), FilesError> {
        let record = &mut self.record;
        record.clear();
        record.resize(FRAME_BYTES, 0);
        write(record);
        let bytes = record.len() - FRAME_BYTES;
        let len = u32::try_from(bytes).map_err(|_| FilesError::TooLarge { path: self.path.clone(), bytes })?;
        let crc = crc32fast::hash(&record[FRAME_BYTES..]);
        record[..4].copy_from_slice(&len.to_le_bytes());
        record[4..FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
        if self.is_torn {
            cut(&mut self.file, self.end).map_err(FilesError::write(&self.path))?;
            self.is_torn = false;
        }
        kill::point();
        if let Err(error) = self.file.write_all(record) {
            self.is_torn = true;
            return Err(FilesError::write(&self.path)(error));
        }
        self.end += record.len() as u64;
        Ok(())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Cuts a file off at `end` and goes there.
fn cut(file: &mut File, end: u64) -> io::Result<()> {
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// Gives every whole record to `found`; where the last of them ends, 0 if not even the magic is whole.
fn read<E: From<FilesError>>(
    file: &File,
    path: &Path,
    magic: [u8; MAGIC_BYTES],
    mut found: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    let len = file.metadata().map_err(FilesError::read(path))?.len();
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut begin = Vec::new();
    input.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut begin).map_err(FilesError::read(path))?;
    if !magic.starts_with(&begin) {
        return Err(FilesError::NotAJournal { path: path.to_owned() }.into());
    }
    if begin.len() < MAGIC_BYTES {
        return Ok(0);
    }
    let mut end = MAGIC_BYTES as u64;
    let mut payload = Vec::new();
    while next_record(&mut input, len - end, &mut payload).map_err(FilesError::read(path))? {
        found(&payload)?;
        end += (FRAME_BYTES + payload.len()) as u64;
    }
    Ok(end)
}

/// Reads the next whole record; false where the journal ends or is torn.
fn next_record(input: &mut impl Read, left: u64, payload: &mut Vec<u8>) -> io::Result<bool> {
    let mut frame = [0; FRAME_BYTES];
    if left < FRAME_BYTES as u64 {
        return Ok(false);
    }
    input.read_exact(&mut frame)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = frame;
    let len = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    // The length is not trusted before it fits: a torn one could ask for gigabytes. A stretch of zeros, as some file
    // systems leave it, has the checksum of an empty record, which no journal holds.
    if len == 0 || len > left - FRAME_BYTES as u64 {
        return Ok(false);
    }
    payload.resize(len as usize, 0);
    input.read_exact(payload)?;
    Ok(crc32fast::hash(payload) == u32::from_le_bytes([c0, c1, c2, c3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    const MAGIC: [u8; 8] = *b"TESTJRN1";

    fn open(path: &Path) -> (Journal, Vec<Vec<u8>>) {
        let mut found = Vec::new();
        let journal = Journal::open(path, MAGIC, |record| {
            found.push(record.to_vec());
            Ok::<_, FilesError>(())
        });
        (journal.unwrap(), found)
    }

    proptest! {
        // No byte is 0, or the zeros behind a cut could make a torn record whole again.
        #[test]
        fn a_journal_cut_anywhere_keeps_its_whole_records(
            records in prop::collection::vec(prop::collection::vec(1..=255_u8, 1..40), 0..6),
            share in 0.0..=1.0_f64,
            zeros in 0..20_usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            let mut journal = open(&path).0;
            let mut ends = vec![MAGIC.len()];
            for record in &records {
                journal.append(|to| to.extend(record)).unwrap();
                ends.push(fs::metadata(&path).unwrap().len() as usize);
            }
            drop(journal);
            let bytes = fs::read(&path).unwrap();
            let cut = (bytes.len() as f64 * share) as usize;
            let mut torn = bytes[..cut].to_vec();
            torn.resize(cut + if cut < MAGIC.len() { 0 } else { zeros }, 0);
            fs::write(&path, torn).unwrap();
            let whole = ends.iter().filter(|&&end| end <= cut).count().saturating_sub(1);
            let (mut journal, found) = open(&path);
            prop_assert_eq!(&found, &records[..whole]);
            journal.append(|to| to.extend(b"next")).unwrap();
            drop(journal);
            let mut expected = records[..whole].to_vec();
            expected.push(b"next".to_vec());
            prop_assert_eq!(open(&path).1, expected);
        }
    }

    #[test]
    fn another_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis.txt");
        fs::write(&path, "all my work").unwrap();
        let opened = Journal::open(&path, MAGIC, |_| Ok::<_, FilesError>(()));
        assert!(matches!(opened, Err(FilesError::NotAJournal { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "all my work");
    }
}
