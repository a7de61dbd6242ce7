//! The journal: finished trees on disk before their shard is whole.
//!
//! ```text
//! [magic 8] [len u32][crc32 u32][index u64, tree] [len u32][crc32 u32][index u64, tree] ...
//!            `- of index and tree -------------'
//! ```
//! A process that is killed loses nothing that [`Journal::append`] was given: the bytes are with the operating system
//! when it returns. What a kill may leave half written, the last record, is cut off when the journal is opened again.

use crate::arena::Tree;
use crate::codec;
use crate::error::TreeError;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// First bytes of every journal; the digit is the version of the records.
const MAGIC: [u8; 8] = *b"ESPJRNL1";

/// Bytes of a record's length and checksum.
const FRAME_BYTES: usize = 8;

/// An append-only file of finished trees, each with the index that the caller gave it.
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
    /// Opens the journal at `path`, or begins one there, and returns the trees that are in it, in the order in which they
    /// were appended.
    ///
    /// From the first record on that is cut short or has a wrong checksum, the journal is cut off.
    ///
    /// # Errors
    /// When the file is not a journal of this version (it is left as it is), or cannot be read or written.
    pub fn open(path: &Path) -> Result<(Journal, Vec<(u64, Tree)>), TreeError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(TreeError::write(path))?;
        let (trees, end) = read(&file, path)?;
        cut(&mut file, end).map_err(TreeError::write(path))?;
        if end == 0 {
            file.write_all(&MAGIC).map_err(TreeError::write(path))?;
        }
        let end = end.max(MAGIC.len() as u64);
        Ok((Journal { path: path.to_owned(), file, end, is_torn: false, record: Vec::new() }, trees))
    }

    /// Appends a finished tree and hands it to the operating system.
    ///
    /// # Errors
    /// When the disk refuses; what it did take of the tree is cut off by the next append or opening.
    pub fn append(&mut self, index: u64, tree: &Tree) -> Result<(), TreeError> {
        let record = &mut self.record;
        record.clear();
        record.resize(FRAME_BYTES, 0);
        record.extend_from_slice(&index.to_le_bytes());
        codec::encode(tree, record);
        let bytes = record.len() - FRAME_BYTES;
        let len = u32::try_from(bytes)
            .map_err(|_| TreeError::TooLarge { problem_id: tree.info.problem_id.clone(), bytes })?;
        let crc = crc32fast::hash(&record[FRAME_BYTES..]);
        record[..4].copy_from_slice(&len.to_le_bytes());
        record[4..FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
        if self.is_torn {
            cut(&mut self.file, self.end).map_err(TreeError::write(&self.path))?;
            self.is_torn = false;
        }
        if let Err(error) = self.file.write_all(record) {
            self.is_torn = true;
            return Err(TreeError::write(&self.path)(error));
        }
        self.end += record.len() as u64;
        Ok(())
    }
}

/// Cuts a file off at `end` and goes there.
fn cut(file: &mut File, end: u64) -> io::Result<()> {
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// The trees of a journal, and where its last whole record ends; 0 if not even the magic is whole.
fn read(file: &File, path: &Path) -> Result<(Vec<(u64, Tree)>, u64), TreeError> {
    let len = file.metadata().map_err(TreeError::read(path))?.len();
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut magic = Vec::new();
    input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(TreeError::read(path))?;
    if !MAGIC.starts_with(&magic) {
        return Err(TreeError::NotAJournal { path: path.to_owned() });
    }
    let mut trees = Vec::new();
    if magic.len() < MAGIC.len() {
        return Ok((trees, 0));
    }
    let mut end = MAGIC.len() as u64;
    let mut payload = Vec::new();
    while let Some(record) = next_record(&mut input, len - end, &mut payload).map_err(TreeError::read(path))? {
        let (index, tree) = record;
        let tree = codec::decode(tree).map_err(|reason| TreeError::Record {
            path: path.to_owned(),
            record: trees.len() as u64,
            reason,
        })?;
        trees.push((index, tree));
        end += (FRAME_BYTES + payload.len()) as u64;
    }
    Ok((trees, end))
}

/// The next whole record as its index and its tree's bytes; `None` where the journal ends or is torn.
fn next_record<'a>(input: &mut impl Read, left: u64, payload: &'a mut Vec<u8>) -> io::Result<Option<(u64, &'a [u8])>> {
    let mut frame = [0; FRAME_BYTES];
    if left < FRAME_BYTES as u64 {
        return Ok(None);
    }
    input.read_exact(&mut frame)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = frame;
    let len = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    // The length is not trusted before it fits: a torn one could ask for gigabytes.
    if len > left - FRAME_BYTES as u64 {
        return Ok(None);
    }
    payload.resize(len as usize, 0);
    input.read_exact(payload)?;
    if crc32fast::hash(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Ok(None);
    }
    // A stretch of zeros, as some file systems leave it, has the checksum of an empty record, but no index.
    Ok(payload.split_first_chunk().map(|(index, tree)| (u64::from_le_bytes(*index), tree)))
}

#[cfg(test)]
mod tests;
