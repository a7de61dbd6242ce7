//! Random numbers that depend on names alone.

use sha2::{Digest, Sha256};
use std::fmt::Display;

/// A 64-bit seed from named parts, the same on every machine.
pub fn seed_from(parts: &[&dyn Display]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.to_string().as_bytes());
        // A separator that no part ends in, so that ("ab", "c") and ("a", "bc") differ.
        hash.update([0]);
    }
    let digest = hash.finalize();
    let mut seed = [0; 8];
    seed.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(seed)
}

/// The upper 53 bits of a random word as a number in [0, 1): every float64 of that grid is equally likely.
pub fn unit_interval(word: u64) -> f64 {
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_depend_on_where_the_parts_are_cut() {
        assert_ne!(seed_from(&[&"ab", &"c"]), seed_from(&[&"a", &"bc"]));
        assert_eq!(seed_from(&[&1, &"x"]), seed_from(&[&1, &"x"]));
    }

    #[test]
    fn the_unit_interval_ends_before_one() {
        assert_eq!(unit_interval(0), 0.0);
        assert_eq!(unit_interval(1 << 63), 0.5);
        // (2^53 - 1) / 2^53.
        assert_eq!(unit_interval(u64::MAX), 1.0 - f64::EPSILON / 2.0);
    }
}
