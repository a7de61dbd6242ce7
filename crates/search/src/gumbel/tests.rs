//! Against numbers that mctx's own tests publish, and against numbers derived by hand from its formulas.

use super::*;
use espalier_tree::{Ending, Kind, NewNode, TreeInfo};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn the_schedule_is_that_of_sequential_halving() {
    let pairs = |from: u32, to: u32| (from..=to).flat_map(|visits| [visits, visits]).collect::<Vec<_>>();
    let rounds = |considered: usize, visits: &[u32]| {
        visits.iter().flat_map(|&visits| vec![visits; considered]).collect::<Vec<_>>()
    };
    assert_eq!(Gumbel::considered_visits(8, 24), [rounds(8, &[0]), rounds(4, &[1, 2]), pairs(3, 6)].concat());
    let extra = [rounds(8, &[0]), rounds(4, &[1, 2, 3]), pairs(4, 16), vec![17]].concat();
    assert_eq!(Gumbel::considered_visits(8, 47), extra);
    assert_eq!(Gumbel::considered_visits(8, 2), [0, 0]);
    assert_eq!(Gumbel::considered_visits(8, 13), [rounds(8, &[0]), rounds(4, &[1]), vec![2]].concat());
    assert_eq!(Gumbel::considered_visits(7, 24), [rounds(7, &[0]), rounds(3, &[1, 2]), pairs(3, 7), vec![8]].concat());
    for considered in [0, 1] {
        assert!(Gumbel::considered_visits(considered, 16).into_iter().eq(0..16));
    }
}

/// q = (0.5, -, -0.5), visits (3, 0, 1), probabilities (0.5, 0.3, 0.2), raw value 0.1.
/// Weighted Q of the visited: (0.5 * 0.5 - 0.2 * 0.5) / 0.7 = 3/14; mixed: (0.1 + 4 * 3/14) / 5 = 0.1914286.
/// Rescaled to [0, 1]: (1, 0.6914286, 0); scaled by (50 + 3) * 0.1 = 5.3.
#[test]
fn q_is_completed_by_the_mixed_value() {
    let completed = completed_q(0.1, &[0.5, 0.0, -0.5], &[3, 0, 1], &[0.5, 0.3, 0.2]);
    for (found, expected) in completed.iter().zip([5.3, 5.3 * 0.691_428_571_428_571_4, 0.0]) {
        assert!((found - expected).abs() < 1e-12, "{completed:?}");
    }
    // Nothing is known yet: all are the raw value, and equal.
    assert_eq!(completed_q(0.3, &[0.0; 3], &[0; 3], &[0.2; 3]), [0.0; 3]);
}

fn root(priors: &[f32]) -> Tree {
    let info = TreeInfo {
        run_id: String::new(),
        round: 0,
        problem_id: "p".into(),
        question: String::new(),
        reference_answer: String::new(),
        tree_seed: 0,
    };
    let mut tree = Tree::new(info, "", &[]);
    let step = |&prior: &f32| NewNode {
        kind: Kind::Plan,
        text: String::new(),
        token_ids: Vec::new(),
        logprobs: Vec::new(),
        prior,
        ending: Ending::None,
        reward: None,
        answer: None,
    };
    let steps: Vec<NewNode> = priors.iter().map(step).collect();
    tree.expand(NodeId::ROOT, &steps);
    tree
}

#[test]
fn the_noise_draws_without_replacement_as_the_prior_says() {
    // P(first) of a draw by Gumbel noise is the softmax of the log-priors: 0.6 of 5,000 draws, standard deviation 35.
    let tree = root(&[0.6, 0.3, 0.1]);
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let mut first = [0; 3];
    for _ in 0..5000 {
        let mut gumbel = Gumbel::new(3, 3, 2, 10, &mut generator);
        let two = [gumbel.select(&tree), gumbel.select(&tree)].map(|id| id.expect("open").0 - 1);
        assert_ne!(two[0], two[1], "each considered child once");
        first[two[0] as usize] += 1;
    }
    assert!((2860..3140).contains(&first[0]) && (410..590).contains(&first[2]), "{first:?}");
}

#[test]
fn only_open_children_are_considered() {
    let mut tree = root(&[0.5, 0.4, 0.1]);
    let mut gumbel = Gumbel::new(3, 3, 3, 12, &mut ChaCha8Rng::seed_from_u64(1));
    tree.set_ending(NodeId(1), Ending::Exhausted);
    for _ in 0..12 {
        assert_ne!(gumbel.select(&tree), Some(NodeId(1)));
    }
    for id in [2, 3] {
        tree.set_ending(NodeId(id), Ending::Exhausted);
    }
    assert_eq!(gumbel.select(&tree), None);
}

/// Of 8 children 4 are considered: 4 once, 2 again and again. The better half by Q goes on.
#[test]
fn visits_are_halved() {
    let mut tree = root(&[0.125; 8]);
    let mut gumbel = Gumbel::new(8, 8, 4, 16, &mut ChaCha8Rng::seed_from_u64(2));
    for _ in 0..16 {
        let id = gumbel.select(&tree).expect("open");
        // The higher the number, the better: far apart, so that Q decides against the noise.
        tree.back_up(id, f64::from(id.0) / 4.0 - 1.0);
    }
    let mut visited: Vec<(u32, u32)> = (1..).zip(gumbel.visits).filter(|(_, visits)| *visits > 0).collect();
    assert_eq!(visited.len(), 4);
    visited.sort_unstable();
    let visits: Vec<u32> = visited.into_iter().map(|(_, visits)| visits).collect();
    // 2 rounds of 4 (16 / (2 * 4)), then 4 rounds of 2.
    assert_eq!(visits, [2, 2, 6, 6]);
}
