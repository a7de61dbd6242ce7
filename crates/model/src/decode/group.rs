//! One request while it is decoded.

use super::blocks::{KvSegment, Run, cut, len};
use crate::ModelError;
use espalier_kernels::BLOCK;
use std::collections::HashSet;
use std::ops::Range;

/// A shared prefix and K rows (siblings) that each extend it.
///
/// A row's tokens stand at the positions from [`prefix_len`](Self::prefix_len) on. All rows are equally long.
#[derive(Debug)]
pub struct DecodeGroup {
    pub(super) prefix: Vec<Run>,
    prefix_len: usize,
    /// Each row's own tokens.
    pub(super) rows: Vec<Vec<Run>>,
    capacity: usize,
    pub(super) used: usize,
}

impl DecodeGroup {
    /// A group of `rows` rows of at most `capacity` tokens each, for which blocks are taken as they come, after the prefix
    /// that `segments` make up in their order.
    ///
    /// # Errors
    /// [`ModelError::Group`] for no rows or no room.
    pub fn new(segments: &[KvSegment], rows: usize, capacity: usize) -> Result<DecodeGroup, ModelError> {
        if rows == 0 || capacity == 0 {
            return Err(ModelError::Group { tokens: 0, rows, used: 0, capacity });
        }
        let prefix: Vec<Run> = segments.iter().flat_map(|segment| segment.runs.iter().cloned()).collect();
        Ok(DecodeGroup { prefix_len: len(&prefix), prefix, rows: vec![Vec::new(); rows], capacity, used: 0 })
    }

    /// P, tokens of the prefix.
    pub fn prefix_len(&self) -> usize {
        self.prefix_len
    }

    /// Tokens of each row so far.
    pub fn used(&self) -> usize {
        self.used
    }

    /// K, rows that are still decoded.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Tokens that each row has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Keys and values of a row's own tokens (the prefix not counted).
    ///
    /// # Panics
    /// When the row does not exist or the tokens are not there yet.
    pub fn suffix(&self, row: usize, tokens: Range<usize>) -> KvSegment {
        assert!(row < self.rows(), "row {row} of {}", self.rows());
        assert!(tokens.start <= tokens.end && tokens.end <= self.used, "tokens {tokens:?} of {}", self.used);
        KvSegment { runs: cut(&self.rows[row], tokens) }
    }

    /// Makes the group's rows these, in this order: one that is not named is dropped, as when a sibling is finished; one
    /// that is named several times becomes several, as when siblings that were equal so far part.
    ///
    /// # Panics
    /// When `rows` is empty or names a row that does not exist.
    pub fn keep_rows(&mut self, rows: &[usize]) {
        assert!(!rows.is_empty(), "a group without rows; drop the group instead");
        if let Some(row) = rows.iter().find(|&&row| row >= self.rows()) {
            panic!("row {row} of {}", self.rows());
        }
        let mut left: Vec<usize> = vec![0; self.rows()];
        rows.iter().for_each(|&row| left[row] += 1);
        let keep = |&row: &usize| {
            left[row] -= 1;
            // The last of several goes on in the blocks that are there.
            if left[row] == 0 { std::mem::take(&mut self.rows[row]) } else { self.rows[row].clone() }
        };
        self.rows = rows.iter().map(keep).collect();
    }

    /// The run that a row's next tokens may follow in its block.
    pub(super) fn tail(&self, row: usize) -> Option<&Run> {
        self.rows[row].last().or(self.prefix.last())
    }

    /// Blocks that `tokens` more tokens of each row take. `claimed` are the places whose free tokens somebody takes in the same
    /// pass; those of this group are added.
    pub fn blocks_for(&self, tokens: usize, claimed: &mut HashSet<usize>) -> usize {
        let beyond = |row: usize| {
            let tail = self.tail(row).filter(|tail| tail.room() > 0 && claimed.insert(tail.block.place));
            tokens.saturating_sub(tail.map_or(0, Run::room)).div_ceil(BLOCK)
        };
        (0..self.rows()).map(beyond).sum()
    }
}
