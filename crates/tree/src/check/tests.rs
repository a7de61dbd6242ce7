//! Tests of the check: silent on grown trees, and each broken rule is found where it is broken.

use super::*;
use crate::arena::NewNode;
use crate::grown::{grown, info, solution, step};
use proptest::prelude::*;

/// root - 1 plan (2 visits) - 2 correct
fn small() -> Tree {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    tree.expand(NodeId::ROOT, &[step(Kind::Plan, "a", 2)]);
    tree.expand(NodeId(1), &[solution("x", 3, 1.0)]);
    for (node, value) in [(0, 0.0), (1, 0.5), (2, 1.0)] {
        tree.back_up(NodeId(node), value);
    }
    assert_eq!(check(&tree), []);
    tree
}

fn broken(change: impl FnOnce(&mut Tree)) -> Vec<Violation> {
    let mut tree = small();
    change(&mut tree);
    check(&tree)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn grown_trees_break_no_rule(seed in any::<u64>(), simulations in 0..120_usize) {
        prop_assert_eq!(check(&grown(seed, simulations)), []);
    }
}

#[test]
fn visits_and_value_sums_must_add_up() {
    // The root's own part is what its child does not have: 3 - 2 = 1 visit, 1.5 - 1.5 = 0.
    assert_eq!(
        broken(|tree| tree.set_statistics(NodeId::ROOT, 1, 1.5)),
        [Violation::Visits { node: 0, visits: 1, children: 2 }]
    );
    assert_eq!(
        broken(|tree| tree.set_statistics(NodeId::ROOT, 3, 4.0)),
        [Violation::ValueSum { node: 0, own_visits: 1, own_sum: 2.5 }]
    );
    assert_eq!(broken(|tree| tree.set_statistics(NodeId::ROOT, 3, 2.5)), []);
    assert!(matches!(
        broken(|tree| tree.set_statistics(NodeId::ROOT, 3, f64::NAN))[..],
        [Violation::ValueSum { node: 0, .. }]
    ));
    // A path that ended correct can only have been backed up with its reward.
    let found = broken(|tree| tree.set_statistics(NodeId(2), 1, 0.5));
    assert_eq!(found, [Violation::BackedUp { node: 2, visits: 1, reward: 1.0, value_sum: 0.5 }]);
}

#[test]
fn endings_must_fit_rewards_kinds_and_children() {
    let found = broken(|tree| tree.set_ending(NodeId(2), Ending::Wrong));
    assert_eq!(found, [Violation::Reward { node: 2, ending: Ending::Wrong, reward: Some(1.0) }]);
    let found = broken(|tree| tree.set_ending(NodeId(1), Ending::Exhausted));
    assert_eq!(found, []);
    let found = broken(|tree| tree.set_ending(NodeId::ROOT, Ending::Exhausted));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].to_string(), "node 0: ending Exhausted at a Root with 1 children, 1 of them open");
    let found = broken(|tree| tree.set_ending(NodeId(1), Ending::Length));
    assert_eq!(
        found,
        [
            Violation::Reward { node: 1, ending: Ending::Length, reward: None },
            Violation::Ending { node: 1, ending: Ending::Length, kind: Kind::Plan, children: 1, open: 0 }
        ]
    );
    // A solution ends its path one way or the other.
    let open = NewNode { ending: Ending::None, reward: None, ..solution("y", 4, 1.0) };
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    tree.expand(NodeId::ROOT, &[open]);
    let expected = Violation::Ending { node: 1, ending: Ending::None, kind: Kind::Solution, children: 0, open: 0 };
    assert_eq!(check(&tree), [expected]);
}

#[test]
fn a_root_below_the_root_is_out_of_place() {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    tree.expand(NodeId::ROOT, &[step(Kind::Root, "a", 2)]);
    assert_eq!(check(&tree), [Violation::Place { node: 1, kind: Kind::Root, depth: 1 }]);
}

#[test]
fn numbers_must_be_what_they_say() {
    let with = |change: fn(&mut NewNode)| {
        let mut tree = Tree::new(info("p"), "Q:", &[1]);
        let mut node = step(Kind::Plan, "a", 2);
        change(&mut node);
        tree.expand(NodeId::ROOT, &[node]);
        check(&tree)
    };
    let number = |name, value| vec![Violation::Number { node: 1, name, value }];
    assert_eq!(with(|node| node.prior = 1.5), number("prior", 1.5));
    assert_eq!(with(|node| node.logprobs = vec![0.25]), number("logprob", 0.25));
    assert_eq!(with(|node| node.logprobs = vec![f32::NEG_INFINITY]), []);
    assert_eq!(with(|node| node.logprobs = vec![f32::NAN]).len(), 1);
    let found = broken(|tree| tree.set_value_estimate(NodeId(1), -1.25));
    assert_eq!(found, number("value_estimate", -1.25));
}
