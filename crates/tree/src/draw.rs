//! Random choices that depend on nothing but their key.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

/// What a choice is for, so that two choices with the same seeds are independent.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// Correct paths for supervised training.
    SftPaths = 1,
    /// Pairs that a cap lets through.
    PairCap = 2,
    /// Pairs of a frequent kind that stay when kinds are balanced.
    Balance = 4,
    /// Pairs of complete paths.
    OutcomePairs = 3,
}

/// `amount` of the numbers below `len`, or all of them, rising; each choice is equally likely.
pub(crate) fn sample(len: usize, amount: usize, purpose: Purpose, seeds: [u64; 2]) -> Vec<usize> {
    if amount >= len {
        return (0..len).collect();
    }
    let mut key = [0; 32];
    for (place, word) in key.chunks_exact_mut(8).zip([seeds[0], seeds[1], purpose as u64]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    let mut chosen = index::sample(&mut ChaCha8Rng::from_seed(key), len, amount).into_vec();
    chosen.sort_unstable();
    chosen
}
