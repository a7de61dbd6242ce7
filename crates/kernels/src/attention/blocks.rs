//! Keys and values in blocks of a fixed number of tokens.
//!
//! ```text
//!   a block, of one layer and key head      keys [d, 16]: a number of 16 tokens side by side
//!                                           values [16, d filled up to whole vectors]
//! ```

use super::Element;
use crate::lanes::WIDTH;

/// Tokens of one block.
pub const BLOCK: usize = WIDTH;

/// The heads of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Layers.
    pub layers: usize,
    /// G, heads of keys and values.
    pub key_heads: usize,
    /// Q, heads of queries that read one of them.
    pub queries_per_key: usize,
    /// d, width of a head, even.
    pub width: usize,
    /// A token sees this many last tokens, itself included; all if `None`.
    pub window: Option<usize>,
}

impl Heads {
    /// Numbers of a block: keys and values of [`BLOCK`] tokens in all layers.
    pub fn block_numbers(&self) -> usize {
        self.layers * self.key_heads * self.head_numbers()
    }

    pub(crate) fn value_width(&self) -> usize {
        self.width.next_multiple_of(WIDTH)
    }

    fn head_numbers(&self) -> usize {
        BLOCK * (self.width + self.value_width())
    }

    /// Where a head's keys begin in a block, and its values.
    pub(crate) fn places(&self, layer: usize, head: usize) -> (usize, usize) {
        let keys = (layer * self.key_heads + head) * self.head_numbers();
        (keys, keys + BLOCK * self.width)
    }

    /// Writes one token's keys and values [G d] of a layer into a block.
    ///
    /// # Panics
    /// When a length is not that of the shape.
    pub fn write<E: Element>(&self, block: &mut [E], layer: usize, token: usize, keys: &[f32], values: &[f32]) {
        assert!(token < BLOCK && block.len() == self.block_numbers(), "token {token} of a block");
        for head in 0..self.key_heads {
            let (keys_at, values_at) = self.places(layer, head);
            let own = head * self.width..(head + 1) * self.width;
            for (place, &number) in keys[own.clone()].iter().enumerate() {
                block[keys_at + place * BLOCK + token] = E::of(number);
            }
            let line = &mut block[values_at + token * self.value_width()..][..self.width];
            line.iter_mut().zip(&values[own]).for_each(|(to, &number)| *to = E::of(number));
        }
    }
}

/// Tokens of a block that follow one another in a text.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a, E> {
    /// The block's numbers.
    pub block: &'a [E],
    /// The first token in the block.
    pub start: usize,
    /// Tokens, at least one.
    pub len: usize,
}
