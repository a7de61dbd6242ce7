//! Keys and values in blocks from one pool.

use crate::ModelError;
use espalier_kernels::BLOCK;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether a pool may exceed its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Where nothing else is left, as for one request alone.
    Soft,
    /// Never: all places are there from the beginning.
    Hard,
}

/// Places for keys and values of all layers, [`BLOCK`] tokens at a time; the decoder has the memory.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    block_bytes: usize,
    limit: usize,
    kind: Limit,
    in_use: AtomicUsize,
    most: AtomicUsize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    /// Places that were given back, the last one first.
    free: Vec<usize>,
    /// The first place that nobody ever had.
    next: usize,
}

impl Pool {
    pub(super) fn new(kind: Limit, block_bytes: usize, budget_bytes: usize) -> Pool {
        let (in_use, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (limit, places) = ((budget_bytes / block_bytes).max(1), Mutex::default());
        Pool(Arc::new(Shared { block_bytes, limit, kind, in_use, most, places }))
    }

    /// Bytes of one block.
    pub fn block_bytes(&self) -> usize {
        self.0.block_bytes
    }

    /// Blocks that the pool may have.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Blocks that somebody holds.
    pub fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Relaxed)
    }

    /// The most blocks that were ever in use.
    pub fn most_in_use(&self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }

    /// # Errors
    /// When the limit is hard and reached.
    pub(super) fn take(&self) -> Result<Arc<Block>, ModelError> {
        let shared = &self.0;
        let mut places = shared.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match places.free.pop() {
            Some(place) => place,
            None if places.next >= shared.limit && shared.kind == Limit::Hard => {
                return Err(ModelError::Full { blocks: shared.limit });
            }
            None => {
                places.next += 1;
                places.next - 1
            }
        };
        let in_use = shared.in_use.fetch_add(1, Ordering::Relaxed) + 1;
        shared.most.fetch_max(in_use, Ordering::Relaxed);
        Ok(Arc::new(Block { place, filled: AtomicUsize::new(0), pool: self.clone() }))
    }

    pub(super) fn is_of(&self, run: &Run) -> bool {
        Arc::ptr_eq(&self.0, &run.block.pool.0)
    }
}

/// A place for [`BLOCK`] tokens' keys and values in all layers; goes back to its pool with its last owner.
#[derive(Debug)]
pub(super) struct Block {
    pub place: usize,
    /// Tokens that somebody has written, or is about to.
    filled: AtomicUsize,
    pool: Pool,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.0.in_use.fetch_sub(1, Ordering::Relaxed);
        self.pool.0.places.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.place);
    }
}

/// Tokens of a block that follow one another in a text.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub block: Arc<Block>,
    pub start: usize,
    pub len: usize,
}

impl Run {
    /// The end of its tokens in the block.
    pub fn end(&self) -> usize {
        self.start + self.len
    }

    /// Tokens that can be added behind it: none where somebody else's stand there.
    pub fn room(&self) -> usize {
        if self.block.filled.load(Ordering::Relaxed) == self.end() { BLOCK - self.end() } else { 0 }
    }

    /// The next `tokens` places behind it, of the same block.
    pub fn claim(&self, tokens: usize) -> Run {
        let start = self.end();
        self.block.filled.store(start + tokens, Ordering::Relaxed);
        Run { block: Arc::clone(&self.block), start, len: tokens }
    }
}

/// Tokens of some runs.
pub(super) fn len(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.len).sum()
}

/// The runs of the tokens `tokens`.
pub(super) fn cut(runs: &[Run], tokens: Range<usize>) -> Vec<Run> {
    let mut at = 0;
    let mut found = Vec::new();
    for run in runs {
        let (from, to) = (tokens.start.max(at), tokens.end.min(at + run.len));
        if from < to {
            found.push(Run { block: Arc::clone(&run.block), start: run.start + from - at, len: to - from });
        }
        at += run.len;
    }
    found
}

/// Keys and values of consecutive tokens in all layers; the memory is shared.
#[derive(Clone, Debug, Default)]
pub struct KvSegment {
    pub(super) runs: Vec<Run>,
}

impl KvSegment {
    /// T.
    pub fn len(&self) -> usize {
        len(&self.runs)
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// A part of the segment.
    ///
    /// # Panics
    /// When the range is not within the segment.
    #[must_use]
    pub fn narrow(&self, tokens: Range<usize>) -> KvSegment {
        assert!(tokens.start <= tokens.end && tokens.end <= self.len(), "tokens {tokens:?} of {}", self.len());
        KvSegment { runs: cut(&self.runs, tokens) }
    }
}
