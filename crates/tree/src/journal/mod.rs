//! The journal: finished trees on disk before their shard is whole.
//!
//! A record is the index that the caller gave a tree, then the tree; see [`espalier_files::Journal`] for the frame around it.

use crate::arena::Tree;
use crate::codec;
use crate::error::TreeError;
use espalier_files::Journal as Records;
use std::path::Path;

/// First bytes of every journal; the digit is the version of the records.
const MAGIC: [u8; 8] = *b"ESPJRNL1";

/// An append-only file of finished trees, each with the index that the caller gave it.
pub struct Journal(Records);

impl Journal {
    /// Opens the journal at `path`, or begins one there, and returns the trees that are in it, in the order in which they
    /// were appended.
    ///
    /// From the first record on that is cut short or has a wrong checksum, the journal is cut off.
    ///
    /// # Errors
    /// When the file is not a journal of this version (it is left as it is), or cannot be read or written.
    pub fn open(path: &Path) -> Result<(Journal, Vec<(u64, Tree)>), TreeError> {
        let mut trees: Vec<(u64, Tree)> = Vec::new();
        let records = Records::open(path, MAGIC, |record| {
            let broken = |reason| TreeError::Record { path: path.to_owned(), record: trees.len() as u64, reason };
            let (index, tree) = record.split_first_chunk().ok_or_else(|| broken("it has no index"))?;
            let tree = codec::decode(tree).map_err(broken)?;
            trees.push((u64::from_le_bytes(*index), tree));
            Ok::<_, TreeError>(())
        })?;
        Ok((Journal(records), trees))
    }

    /// Appends a finished tree and hands it to the operating system.
    ///
    /// # Errors
    /// When the disk refuses; what it did take of the tree is cut off by the next append or opening.
    pub fn append(&mut self, index: u64, tree: &Tree) -> Result<(), TreeError> {
        Ok(self.0.append(|record| {
            record.extend_from_slice(&index.to_le_bytes());
            codec::encode(tree, record);
        })?)
    }
}

#[cfg(test)]
mod tests;
