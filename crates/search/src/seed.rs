//! Sampling seeds: each request's own, from its tree's seed and its node alone.

use espalier_tree::NodeId;

/// What the candidates of a request are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To become the children of the node.
    Expansion = 0,
    /// To estimate the node's value.
    Rollouts = 1,
    /// None: only the value head's estimate is wanted.
    Value = 2,
}

/// Seed of the request for one node of one tree.
pub(crate) fn request_seed(tree_seed: u64, node: NodeId, purpose: Purpose) -> u64 {
    // Values are not sampled, so that their seed is never used.
    mix(mix(tree_seed) ^ (u64::from(node.0) << 1 | u64::from(purpose == Purpose::Rollouts)))
}

/// The output function of splitmix64 (Steele, Lea, Flood 2014): a bijection in which every input bit moves every output
/// bit.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn mix_gives_the_published_sequence() {
        // First two outputs of splitmix64 from state 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn seeds_differ_between_trees_nodes_and_purposes() {
        let mut seeds = HashSet::new();
        for tree_seed in 0..20 {
            for node in 0..200 {
                for purpose in [Purpose::Expansion, Purpose::Rollouts] {
                    assert!(seeds.insert(request_seed(tree_seed, NodeId(node), purpose)));
                }
            }
        }
    }
}
