//! What is kept of a request while it is decoded, and of its prefix afterwards.

use crate::{ModelError, Transformer};
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// Tokens of each row that a new group has memory for.
const FIRST_ALLOCATION: usize = 32;

/// Keys and values of T consecutive tokens in all layers.
#[derive(Debug)]
pub struct KvSegment {
    /// [layers, key heads, T, d]; turned to the tokens' positions.
    pub keys: Tensor,
    /// [layers, key heads, T, d].
    pub values: Tensor,
}

impl KvSegment {
    /// T.
    pub fn len(&self) -> usize {
        self.keys.size()[2] as usize
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that keys and values take.
    pub fn bytes(&self) -> usize {
        2 * self.keys.numel() * self.keys.kind().elt_size_in_bytes()
    }

    /// The same segment, sharing its memory.
    #[must_use]
    pub fn shallow_clone(&self) -> KvSegment {
        KvSegment { keys: self.keys.shallow_clone(), values: self.values.shallow_clone() }
    }

    /// A part of the segment, sharing its memory.
    ///
    /// # Panics
    /// When the range is not within the segment.
    #[must_use]
    pub fn narrow(&self, tokens: Range<usize>) -> KvSegment {
        let part = |all: &Tensor| all.narrow(2, tokens.start as i64, tokens.len() as i64);
        KvSegment { keys: part(&self.keys), values: part(&self.values) }
    }
}

/// One request while it is decoded: a shared prefix and K rows (siblings) that each extend it.
///
/// A row's tokens stand at the positions from [`prefix_len`](Self::prefix_len) on. All rows are equally long.
#[derive(Debug)]
pub struct DecodeGroup {
    /// Keys and values of the prefix in each layer, [key heads, P, d]; empty if there is no prefix.
    pub(super) prefix: Vec<(Tensor, Tensor)>,
    pub(super) prefix_len: usize,
    /// Keys and values of the rows, [layers, key heads, K, allocated, d].
    suffix: (Tensor, Tensor),
    /// The same in each layer, as [key heads, K, allocated, d] and [key heads * K, allocated, d].
    pub(super) layers: Vec<SuffixLayer>,
    pub(super) rows: usize,
    pub(super) capacity: usize,
    /// Tokens of each row that there is memory for.
    allocated: usize,
    pub(super) used: usize,
}

/// Two views of one layer's suffix: to write to and to attend to.
#[derive(Debug)]
pub(super) struct SuffixLayer {
    pub keys: Tensor,
    pub values: Tensor,
    pub flat_keys: Tensor,
    pub flat_values: Tensor,
}

impl SuffixLayer {
    fn views(suffix: &(Tensor, Tensor)) -> Result<Vec<SuffixLayer>, ModelError> {
        let size = suffix.0.size();
        let flat = [size[1] * size[2], size[3], size[4]];
        (0..size[0])
            .map(|layer| {
                let (keys, values) = (suffix.0.f_select(0, layer)?, suffix.1.f_select(0, layer)?);
                Ok(SuffixLayer { flat_keys: keys.f_view(flat)?, flat_values: values.f_view(flat)?, keys, values })
            })
            .collect()
    }
}

impl DecodeGroup {
    /// A group of `rows` rows of at most `capacity` tokens each, for which memory is taken as they come, after the prefix
    /// that `segments` make up in their order. The prefix is copied once, into one piece.
    ///
    /// # Errors
    /// [`ModelError::Shape`] for segments of another model, [`ModelError::Group`] for no rows or no room.
    pub fn new(
        model: &Transformer,
        segments: &[KvSegment],
        rows: usize,
        capacity: usize,
    ) -> Result<DecodeGroup, ModelError> {
        if rows == 0 || capacity == 0 {
            return Err(ModelError::Group { tokens: 0, rows, used: 0, capacity });
        }
        let _guard = tch::no_grad_guard();
        let config = model.config();
        let (layers, heads) = (config.num_hidden_layers as i64, config.num_key_value_heads as i64);
        let width = config.head_dim as i64;
        for segment in segments {
            for (name, tensor) in [("keys", &segment.keys), ("values", &segment.values)] {
                let wanted = vec![layers, heads, segment.len() as i64, width];
                if tensor.size() != wanted {
                    return Err(ModelError::Shape { name: name.to_owned(), got: tensor.size(), wanted });
                }
            }
        }
        let prefix_len = segments.iter().map(KvSegment::len).sum();
        let mut prefix = Vec::new();
        if prefix_len > 0 {
            let keys = join(segments, |segment| &segment.keys)?;
            let values = join(segments, |segment| &segment.values)?;
            for layer in 0..layers {
                prefix.push((keys.f_select(0, layer)?, values.f_select(0, layer)?));
            }
        }
        let allocated = capacity.min(FIRST_ALLOCATION);
        let shape = [layers, heads, rows as i64, allocated as i64, width];
        let suffix = empty_pair(&shape, model.kind(), model.device())?;
        Ok(DecodeGroup {
            prefix,
            prefix_len,
            layers: SuffixLayer::views(&suffix)?,
            suffix,
            rows,
            capacity,
            allocated,
            used: 0,
        })
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
        self.rows
    }

    /// Tokens that each row has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Keys and values of a row's own tokens (the prefix not counted), as a compact copy.
    ///
    /// # Panics
    /// When the row does not exist or the tokens are not there yet.
    pub fn suffix(&self, row: usize, tokens: Range<usize>) -> KvSegment {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert!(tokens.start <= tokens.end && tokens.end <= self.used, "tokens {tokens:?} of {}", self.used);
        let _guard = tch::no_grad_guard();
        let (start, len) = (tokens.start as i64, tokens.len() as i64);
        let copy = |all: &Tensor| {
            let part = all.select(2, row as i64).narrow(2, start, len);
            // Always a copy: a view would keep the whole group's memory alive.
            let mut copy = Tensor::empty(part.size(), (part.kind(), part.device()));
            copy.copy_(&part);
            copy
        };
        KvSegment { keys: copy(&self.suffix.0), values: copy(&self.suffix.1) }
    }

    /// Makes the group's rows these, in this order: one that is not named is dropped, as when a sibling is finished; one
    /// that is named several times becomes several, as when siblings that were equal so far part.
    ///
    /// # Panics
    /// When `rows` is empty or names a row that does not exist.
    pub fn keep_rows(&mut self, rows: &[usize]) -> Result<(), ModelError> {
        assert!(!rows.is_empty(), "a group without rows; drop the group instead");
        if let Some(row) = rows.iter().find(|&&row| row >= self.rows) {
            panic!("row {row} of {}", self.rows);
        }
        let _guard = tch::no_grad_guard();
        self.reallocate(rows, self.allocated)
    }

    /// Makes room for `tokens` more tokens of each row, by doubling what is there.
    pub(super) fn reserve(&mut self, tokens: usize) -> Result<(), ModelError> {
        let needed = self.used + tokens;
        if needed <= self.allocated {
            return Ok(());
        }
        let rows: Vec<usize> = (0..self.rows).collect();
        self.reallocate(&rows, needed.max(2 * self.allocated).min(self.capacity))
    }

    /// New memory for `allocated` tokens of each row, with what the old rows `rows` hold.
    fn reallocate(&mut self, rows: &[usize], allocated: usize) -> Result<(), ModelError> {
        let used = self.used as i64;
        let moved = |all: &Tensor| {
            let mut shape = all.size();
            (shape[2], shape[3]) = (rows.len() as i64, allocated as i64);
            let new = Tensor::f_empty(&shape, (all.kind(), all.device()))?;
            for (to, &from) in rows.iter().enumerate() {
                let part = |all: &Tensor, row: usize| all.f_select(2, row as i64)?.f_narrow(2, 0, used);
                part(&new, to)?.f_copy_(&part(all, from)?)?;
            }
            Ok::<_, ModelError>(new)
        };
        self.suffix = (moved(&self.suffix.0)?, moved(&self.suffix.1)?);
        (self.rows, self.allocated) = (rows.len(), allocated);
        self.layers = SuffixLayer::views(&self.suffix)?;
        Ok(())
    }
}

/// The segments' keys or values one after another, [layers, key heads, P, d], in memory of its own layout.
fn join(segments: &[KvSegment], part: impl Fn(&KvSegment) -> &Tensor) -> Result<Tensor, ModelError> {
    match segments {
        [one] => Ok(part(one).f_contiguous()?),
        all => Ok(Tensor::f_cat(&all.iter().map(part).collect::<Vec<_>>(), 2)?),
    }
}

fn empty_pair(shape: &[i64], kind: Kind, device: Device) -> Result<(Tensor, Tensor), ModelError> {
    Ok((Tensor::f_empty(shape, (kind, device))?, Tensor::f_empty(shape, (kind, device))?))
}
