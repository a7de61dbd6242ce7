//! Keys and values in blocks from one pool.

use crate::ModelError;
use espalier_kernels::BLOCK;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a block's numbers lie in.
#[derive(Debug)]
pub(super) enum Memory {
    Float32(Box<[f32]>),
    Bfloat16(Box<[u16]>),
    /// Place of the block in the tensors of a device.
    Place(usize),
}

/// How blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Float32,
    Bfloat16,
    /// Places of tensors that are there already; no more than the limit.
    Place,
}

/// Memory for keys and values of all layers, [`BLOCK`] tokens at a time.
///
/// A pool in main memory may exceed its limit where nothing else is left (one request alone); one in a device's tensors
/// cannot.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    form: Form,
    /// Numbers of one block.
    numbers: usize,
    block_bytes: usize,
    limit: usize,
    in_use: AtomicUsize,
    most: AtomicUsize,
    free: Mutex<Vec<Memory>>,
}

impl Pool {
    pub(super) fn new(form: Form, numbers: usize, number_bytes: usize, budget_bytes: usize) -> Pool {
        let block_bytes = numbers * number_bytes;
        let limit = (budget_bytes / block_bytes).max(1);
        let free = match form {
            Form::Place => (0..limit).rev().map(Memory::Place).collect(),
            Form::Float32 | Form::Bfloat16 => Vec::new(),
        };
        let (in_use, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Pool(Arc::new(Shared { form, numbers, block_bytes, limit, in_use, most, free: Mutex::new(free) }))
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
    /// When all places of a device are taken.
    pub(super) fn take(&self) -> Result<Arc<Block>, ModelError> {
        let shared = &self.0;
        let free = shared.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = match (free, shared.form) {
            (Some(memory), _) => memory,
            (None, Form::Float32) => Memory::Float32(vec![0.0; shared.numbers].into()),
            (None, Form::Bfloat16) => Memory::Bfloat16(vec![0; shared.numbers].into()),
            (None, Form::Place) => return Err(ModelError::Full { blocks: shared.limit }),
        };
        let in_use = shared.in_use.fetch_add(1, Ordering::Relaxed) + 1;
        shared.most.fetch_max(in_use, Ordering::Relaxed);
        Ok(Arc::new(Block { memory: Some(memory), pool: self.clone() }))
    }

    pub(super) fn is_of(&self, run: &Run) -> bool {
        Arc::ptr_eq(&self.0, &run.block.pool.0)
    }
}

/// [`BLOCK`] tokens' keys and values in all layers; goes back to its pool with its last owner.
#[derive(Debug)]
pub(super) struct Block {
    /// Always there until the block is dropped.
    memory: Option<Memory>,
    pool: Pool,
}

impl Block {
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    pub fn memory_mut(&mut self) -> Option<&mut Memory> {
        self.memory.as_mut()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let shared = &self.pool.0;
        let in_use = shared.in_use.fetch_sub(1, Ordering::Relaxed) - 1;
        let Some(memory) = self.memory.take() else { return };
        let mut free = shared.free.lock().unwrap_or_else(PoisonError::into_inner);
        // Beyond the limit, memory goes back to the system.
        if shared.form == Form::Place || in_use + free.len() < shared.limit {
            free.push(memory);
        }
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
    /// Tokens that can be added behind it: none where somebody else holds the block, too.
    pub fn room(&mut self) -> usize {
        let end = self.start + self.len;
        if Arc::get_mut(&mut self.block).is_some() { BLOCK - end } else { 0 }
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
