//! Attention over keys and values in blocks.
//!
//! ```text
//!   what a row sees      prefix pieces (its siblings', too) | own pieces      a piece: some tokens of a block
//! ```
//!
//! A query's score with a key is a sum over the even places of d in order, plus one over the odd; scores lie in a line by
//! position; their exponentials are summed, and the values weighed, in the order of positions. So the bits of a row depend on its
//! query, keys and values alone: on neither the pieces that these lie in nor the other rows.

mod blocks;
mod element;
mod tile;

pub use blocks::{BLOCK, Heads, Piece};
pub use element::Element;

use crate::lanes::Isa;
use crate::share::{Shared, UNSPLIT, share};
use tile::{Place, Scratch, Task};

/// Queries of one piece of work.
const QUERIES: usize = 32;

/// K rows that see one prefix and have T new tokens each, whose keys and values are in their pieces already.
#[derive(Clone, Debug)]
pub struct Seen<'a, E> {
    /// The first of their K T queries among all.
    pub first: usize,
    /// What all rows see.
    pub prefix: Vec<Piece<'a, E>>,
    /// What each row sees after it, equally many tokens each, the new ones included.
    pub own: Vec<Vec<Piece<'a, E>>>,
    /// T, new tokens of each row.
    pub tokens: usize,
}

/// Tokens of some pieces.
fn len<E>(pieces: &[Piece<E>]) -> usize {
    pieces.iter().map(|piece| piece.len).sum()
}

/// Attention of one layer: `queries` [R, stride] begin with G Q heads of width d, divided by sqrt(d) already; the results go to
/// `attended` [R, G Q d].
///
/// # Panics
/// When a length is not that of the shapes.
pub fn attend<E: Element>(
    isa: Isa,
    heads: &Heads,
    layer: usize,
    seen: &[Seen<E>],
    queries: &[f32],
    stride: usize,
    attended: &mut [f32],
) {
    let row_width = heads.key_heads * heads.queries_per_key * heads.width;
    assert!(heads.width.is_multiple_of(2), "heads of an even width, not {}", heads.width);
    assert!(row_width <= stride && layer < heads.layers, "queries of {row_width} numbers in rows of {stride}");
    let mut tasks = Vec::new();
    let mut work = 0;
    for one in seen {
        check(heads, one);
        let last = one.first + one.own.len() * one.tokens;
        assert!(last * stride <= queries.len() && last * row_width <= attended.len(), "{last} queries");
        let count = one.own.len() * one.tokens * heads.queries_per_key;
        let (prefix_len, own_len) = (len(&one.prefix), one.own.first().map_or(0, |own| len(own)));
        work += 2 * count * heads.key_heads * (prefix_len + own_len) * heads.width;
        for head in 0..heads.key_heads {
            for from in (0..count).step_by(QUERIES) {
                let queries = from..count.min(from + QUERIES);
                tasks.push(Task { seen: one, prefix_len, len: prefix_len + own_len, head, queries });
            }
        }
    }
    let attended = Shared::new(attended);
    let place = Place { heads, layer, queries, stride, attended: &attended };
    share(tasks.len(), work, UNSPLIT, |range| {
        let mut scratch = Scratch::default();
        for task in &tasks[range] {
            // SAFETY: lengths were checked above, each task writes the results of its own queries, and the processor has the
            // instructions of the `Isa`.
            unsafe { E::run(isa, &place, task, &mut scratch) };
        }
    });
}

/// # Panics
/// When pieces are not in their blocks, or rows not equally long.
fn check<E>(heads: &Heads, seen: &Seen<E>) {
    for piece in seen.prefix.iter().chain(seen.own.iter().flatten()) {
        let numbers = piece.block.len();
        assert!(
            piece.start + piece.len <= BLOCK && numbers == heads.block_numbers(),
            "a piece of a block of {numbers}"
        );
    }
    let own: Vec<usize> = seen.own.iter().map(|own| len(own)).collect();
    assert!(own.iter().all(|&len| len == own[0] && len >= seen.tokens) && seen.tokens > 0, "rows of {own:?} tokens");
}
