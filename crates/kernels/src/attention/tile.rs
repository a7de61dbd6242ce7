//! One key head of some queries: scores, shares, weighed values.

use super::{BLOCK, Element, Heads, Piece, Seen};
use crate::lanes::{Lanes, WIDTH};
use crate::pointwise::shares;
use crate::share::Shared;
use std::ops::Range;

/// Vectors of values that are summed at a time.
const VECTORS: usize = 4;
/// Queries whose values are summed at a time.
const ROWS: usize = 4;
/// The most queries that any processor's tile has.
const MOST: usize = 8;

macro_rules! by_count {
    ($count:expr, $call:ident::<$l:ident, $e:ident>($($argument:expr),*)) => {
        match $count {
            1 => $call::<$l, $e, 1>($($argument),*),
            2 => $call::<$l, $e, 2>($($argument),*),
            3 => $call::<$l, $e, 3>($($argument),*),
            4 => $call::<$l, $e, 4>($($argument),*),
            5 => $call::<$l, $e, 5>($($argument),*),
            6 => $call::<$l, $e, 6>($($argument),*),
            7 => $call::<$l, $e, 7>($($argument),*),
            _ => $call::<$l, $e, MOST>($($argument),*),
        }
    };
}

/// One key head of some queries of a group.
pub struct Task<'a, E> {
    pub seen: &'a Seen<'a, E>,
    /// P
    pub prefix_len: usize,
    /// Tokens of each row, the prefix's included.
    pub len: usize,
    pub head: usize,
    /// Places among the K T Q queries of the head, row by row, token by token.
    pub queries: Range<usize>,
}

/// Where queries come from and results go.
pub struct Place<'a> {
    pub heads: &'a Heads,
    pub layer: usize,
    pub queries: &'a [f32],
    pub stride: usize,
    pub attended: &'a Shared<'a, f32>,
}

/// Memory that tasks use one after the other.
#[derive(Default)]
pub struct Scratch {
    /// Scores of each query by position, then shares; [queries, len filled up].
    scores: Vec<f32>,
    /// Sums of values, [queries, d filled up].
    sums: Vec<f32>,
}

#[inline(always)]
pub(super) unsafe fn floats<L: Lanes>(place: &Place, task: &Task<f32>, scratch: &mut Scratch) {
    unsafe { tiles::<L, f32>(place, task, scratch) }
}

#[inline(always)]
pub(super) unsafe fn halves<L: Lanes>(place: &Place, task: &Task<u16>, scratch: &mut Scratch) {
    unsafe { tiles::<L, u16>(place, task, scratch) }
}

/// The task's queries, as many at a time as the registers hold.
#[inline(always)]
unsafe fn tiles<L: Lanes, E: Element>(place: &Place, task: &Task<E>, scratch: &mut Scratch) {
    let mut from = task.queries.start;
    while from < task.queries.end {
        let to = task.queries.end.min(from + L::QUERIES);
        let tile = Tile { place, task, from, count: to - from };
        unsafe { tile.run::<L>(scratch) };
        from = to;
    }
}

/// A few queries of one head.
struct Tile<'a, E> {
    place: &'a Place<'a>,
    task: &'a Task<'a, E>,
    /// Its first query among those of the head.
    from: usize,
    count: usize,
}

impl<E: Element> Tile<'_, E> {
    /// A query's row among the K, its new token, its head.
    fn of(&self, query: usize) -> (usize, usize, usize) {
        let per_key = self.place.heads.queries_per_key;
        let index = self.from + query;
        (index / per_key / self.task.seen.tokens, index / per_key % self.task.seen.tokens, index % per_key)
    }

    /// The first and the end of the positions that a query sees.
    fn visible(&self, query: usize) -> Range<usize> {
        let (_, token, _) = self.of(query);
        let end = self.task.len - self.task.seen.tokens + token + 1;
        self.place.heads.window.map_or(0, |window| end.saturating_sub(window))..end
    }

    /// Where a query's numbers begin in a row of so many numbers a token.
    fn offset(&self, query: usize, stride: usize) -> usize {
        let (row, token, head) = self.of(query);
        let at = self.task.seen.first + row * self.task.seen.tokens + token;
        at * stride + (self.task.head * self.place.heads.queries_per_key + head) * self.place.heads.width
    }

    #[inline(always)]
    unsafe fn run<L: Lanes>(&self, scratch: &mut Scratch) {
        let heads = self.place.heads;
        let (line, width) = (self.task.len.next_multiple_of(WIDTH) + WIDTH, heads.value_width());
        let Scratch { scores, sums } = scratch;
        scores.resize(self.count * line, 0.0);
        sums.clear();
        sums.resize(self.count * width, 0.0);
        // No closure below holds vectors: it would be compiled without the caller's instructions.
        let visits = self.visits();
        let (keys, values) = heads.places(self.place.layer, self.task.head);
        for Visit { piece, at, among } in &visits {
            // SAFETY: a piece lies in its block, and each query's numbers in the slice whose length the caller checked.
            unsafe {
                let mut queries = [std::ptr::null(); MOST];
                for (address, query) in queries.iter_mut().zip(among.clone()) {
                    *address = self.place.queries.as_ptr().add(self.offset(query, self.place.stride));
                }
                let keys = piece.block.as_ptr().add(keys);
                let scores = &mut scores[among.start * line..];
                by_count!(among.len(), score::<L, E>(piece, keys, heads.width, &queries, scores, line, *at));
            }
        }
        let mut scales = [0.0; MOST];
        for query in 0..self.count {
            scales[query] = 1.0 / shares(&mut scores[query * line..(query + 1) * line], self.visible(query));
        }
        for Visit { piece, at, among } in &visits {
            // SAFETY: as above.
            unsafe {
                let values = piece.block.as_ptr().add(values + piece.start * width);
                let shares = &scores[among.start * line + at..];
                let weighed = Weighed { values, len: piece.len, width, shares, line };
                weigh_all::<L, E>(weighed, &mut sums[among.start * width..], among.len());
            }
        }
        let row_width = heads.key_heads * heads.queries_per_key * heads.width;
        for query in 0..self.count {
            // SAFETY: the places of a query's results are its own, within what the caller checked.
            unsafe {
                let to = self.place.attended.address().add(self.offset(query, row_width));
                for (place, &sum) in sums[query * width..][..heads.width].iter().enumerate() {
                    *to.add(place) = sum * scales[query];
                }
            }
        }
    }

    /// The pieces that some query sees: first the prefix's, then those of each row.
    fn visits(&self) -> Vec<Visit<'_, E>> {
        let mut visits = Vec::new();
        self.walk(&self.task.seen.prefix, 0, 0..self.count, &mut visits);
        let mut first = 0;
        while first < self.count {
            let (row, ..) = self.of(first);
            let after = (first..self.count).find(|&query| self.of(query).0 != row).unwrap_or(self.count);
            self.walk(&self.task.seen.own[row], self.task.prefix_len, first..after, &mut visits);
            first = after;
        }
        visits
    }

    fn walk<'p>(&self, pieces: &'p [Piece<'p, E>], mut at: usize, among: Range<usize>, visits: &mut Vec<Visit<'p, E>>) {
        let from = among.clone().map(|query| self.visible(query).start).min().unwrap_or(0);
        let end = among.clone().map(|query| self.visible(query).end).max().unwrap_or(0);
        for piece in pieces {
            if at + piece.len > from && at < end {
                visits.push(Visit { piece, at, among: among.clone() });
            }
            at += piece.len;
        }
    }
}

/// A piece, the position of its first token, and the queries of the tile that it is for.
struct Visit<'a, E> {
    piece: &'a Piece<'a, E>,
    at: usize,
    among: Range<usize>,
}

/// Scores of N queries with a piece's keys, to the places from `at` on in each query's line.
#[inline(always)]
unsafe fn score<L: Lanes, E: Element, const N: usize>(
    piece: &Piece<E>,
    keys: *const E,
    width: usize,
    queries: &[*const f32; MOST],
    scores: &mut [f32],
    line: usize,
    at: usize,
) {
    unsafe {
        // Even and odd places in sums of their own: two queries alone would wait for each other's additions.
        let mut sums = [[L::zero(); 2]; N];
        for place in (0..width).step_by(2) {
            for odd in 0..2 {
                let keys = E::vector::<L>(keys.add((place + odd) * BLOCK));
                for query in 0..N {
                    sums[query][odd] = L::fma(L::splat(*queries[query].add(place + odd)), keys, sums[query][odd]);
                }
            }
        }
        for query in 0..N {
            let line = &mut scores[query * line + at..][..WIDTH];
            // Once times the one is the sum of both.
            let sum = L::fma(L::splat(1.0), sums[query][0], sums[query][1]);
            if piece.start == 0 {
                // What is beyond the piece is written over by the next one, or never read.
                L::store(line.as_mut_ptr(), sum);
            } else {
                let mut all = [0.0; WIDTH];
                L::store(all.as_mut_ptr(), sum);
                line[..piece.len].copy_from_slice(&all[piece.start..piece.start + piece.len]);
            }
        }
    }
}

/// A piece's values, and the shares that they are weighed by.
#[derive(Clone, Copy)]
struct Weighed<'a, E> {
    /// [len, width]
    values: *const E,
    len: usize,
    width: usize,
    /// The shares of the piece's tokens in the line of the first query; those of the next are a `line` further.
    shares: &'a [f32],
    line: usize,
}

/// Adds the weighed values to the sums of `count` queries.
#[inline(always)]
unsafe fn weigh_all<L: Lanes, E: Element>(weighed: Weighed<E>, sums: &mut [f32], count: usize) {
    let mut query = 0;
    while query < count {
        let some = (count - query).min(ROWS);
        let weighed = Weighed { shares: &weighed.shares[query * weighed.line..], ..weighed };
        let sums = &mut sums[query * weighed.width..];
        unsafe { by_count!(some, weigh::<L, E>(weighed, sums)) };
        query += some;
    }
}

#[inline(always)]
unsafe fn weigh<L: Lanes, E: Element, const N: usize>(weighed: Weighed<E>, sums: &mut [f32]) {
    let mut place = 0;
    while place < weighed.width {
        let sums = &mut sums[place..];
        unsafe {
            match (weighed.width - place) / WIDTH {
                1 => weigh_part::<L, E, N, 1>(weighed, place, sums),
                2 => weigh_part::<L, E, N, 2>(weighed, place, sums),
                3 => weigh_part::<L, E, N, 3>(weighed, place, sums),
                _ => weigh_part::<L, E, N, VECTORS>(weighed, place, sums),
            }
        }
        place += VECTORS * WIDTH;
    }
}

/// V vectors of the values from `place` on, to the sums of N queries.
#[inline(always)]
unsafe fn weigh_part<L: Lanes, E: Element, const N: usize, const V: usize>(
    weighed: Weighed<E>,
    place: usize,
    sums: &mut [f32],
) {
    unsafe {
        let Weighed { values, len, width, shares, line } = weighed;
        let sums = sums.as_mut_ptr();
        let mut all = [[L::zero(); V]; N];
        for query in 0..N {
            for vector in 0..V {
                all[query][vector] = L::load(sums.add(query * width + vector * WIDTH));
            }
        }
        let shares: [*const f32; N] = std::array::from_fn(|query| shares[query * line..][..len].as_ptr());
        for token in 0..len {
            let mut numbers = [L::zero(); V];
            for vector in 0..V {
                numbers[vector] = E::vector::<L>(values.add(token * width + place + vector * WIDTH));
            }
            for query in 0..N {
                let share = L::splat(*shares[query].add(token));
                for vector in 0..V {
                    all[query][vector] = L::fma(share, numbers[vector], all[query][vector]);
                }
            }
        }
        for query in 0..N {
            for vector in 0..V {
                L::store(sums.add(query * width + vector * WIDTH), all[query][vector]);
            }
        }
    }
}
