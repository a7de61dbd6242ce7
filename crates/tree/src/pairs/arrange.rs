//! What is decided over the pairs of all trees: how many of each kind, and their order.

use super::{Curriculum, PairRules, StepPair};
use crate::arena::Kind;
use crate::draw::{Purpose, sample};

/// Balances the kinds of steps and puts the pairs in their order, as the rules say. The same pairs give the same result.
pub fn arrange_pairs(mut pairs: Vec<StepPair>, rules: &PairRules) -> Vec<StepPair> {
    if rules.balance {
        pairs = balanced(pairs);
    }
    match rules.curriculum {
        Curriculum::None => {}
        Curriculum::Margin => {
            let margin = |pair: &StepPair| pair.q_chosen - pair.q_rejected;
            pairs.sort_by(|a, b| margin(b).total_cmp(&margin(a)));
        }
        Curriculum::Depth => pairs.sort_by_key(|pair| pair.depth),
    }
    pairs
}

/// As many pairs of each kind as of the rarest that there is, in their order.
fn balanced(pairs: Vec<StepPair>) -> Vec<StepPair> {
    let places = Kind::STEPS.map(|kind| {
        let of_kind = pairs.iter().enumerate().filter(|(_, pair)| pair.kind == kind);
        (kind, of_kind.map(|(at, _)| at).collect::<Vec<_>>())
    });
    let least = places.iter().map(|(_, of_kind)| of_kind.len()).filter(|&count| count > 0).min().unwrap_or(0);
    let mut stays = vec![false; pairs.len()];
    for (kind, of_kind) in &places {
        for at in sample(of_kind.len(), least.min(of_kind.len()), Purpose::Balance, [*kind as u64, 0]) {
            stays[of_kind[at]] = true;
        }
    }
    pairs.into_iter().zip(stays).filter_map(|(pair, stays)| stays.then_some(pair)).collect()
}
