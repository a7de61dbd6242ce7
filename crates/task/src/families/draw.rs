//! Random choices of a story.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;

/// Where a story's numbers and words come from.
#[derive(Debug)]
pub(super) struct Draw {
    generator: ChaCha8Rng,
}

impl Draw {
    /// The generator of one family at one difficulty: adding a family changes no other family's problems.
    pub(super) fn new(seed: u64, family: &str, steps: u32) -> Self {
        let digest = Sha256::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(steps.to_le_bytes())
            .chain_update(family.as_bytes())
            .finalize();
        Self { generator: ChaCha8Rng::from_seed(digest.into()) }
    }

    pub(super) fn number(&mut self, range: RangeInclusive<u32>) -> u32 {
        self.generator.random_range(range)
    }

    /// True with probability `parts / whole`.
    pub(super) fn chance(&mut self, parts: u32, whole: u32) -> bool {
        self.number(1..=whole) <= parts
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.number(0..=from.len() as u32 - 1) as usize]
    }

    /// `N` different entries, in random order. `from` must have at least `N`.
    pub(super) fn distinct<T: Copy, const N: usize>(&mut self, from: &[T]) -> [T; N] {
        let mut order: Vec<usize> = (0..from.len()).collect();
        std::array::from_fn(|place| {
            let other = self.number(place as u32..=order.len() as u32 - 1) as usize;
            order.swap(place, other);
            from[order[place]]
        })
    }
}
