//! Tests of the arena.

use super::*;
use crate::grown::{info, solution, step};

/// root -- plan a -- solution x (+1)
///   `---- plan b `- solution y (-1)
fn small() -> Tree {
    let mut tree = Tree::new(info("p"), "Q:", &[1, 2]);
    tree.expand(NodeId::ROOT, &[step(Kind::Plan, "a", 3), step(Kind::Plan, "b", 4)]);
    tree.expand(NodeId(1), &[solution("x", 5, 1.0), solution("y", 6, -1.0)]);
    tree
}

#[test]
fn a_node_is_48_bytes() {
    assert_eq!(size_of::<Node>(), 48);
}

#[test]
fn nodes_know_their_place() {
    let tree = small();
    assert_eq!(tree.len(), 5);
    assert_eq!(tree.node(NodeId::ROOT).children().collect::<Vec<_>>(), [NodeId(1), NodeId(2)]);
    assert_eq!(tree.node(NodeId(1)).child_range(), 3..5);
    assert!(!tree.node(NodeId(2)).is_expanded());
    assert_eq!(tree.parent(NodeId::ROOT), None);
    assert_eq!(tree.parent(NodeId(4)), Some(NodeId(1)));
    assert_eq!(tree.path(NodeId(4)), [NodeId(0), NodeId(1), NodeId(4)]);
    assert_eq!(tree.node(NodeId(4)).depth, 2);
    assert_eq!(tree.prefix_ids(NodeId(4)), [1, 2, 3, 6]);
    assert_eq!((tree.text(NodeId(0)), tree.text(NodeId(2)), tree.text(NodeId(4))), ("Q:", "b", "y"));
    assert_eq!(tree.token_ids(NodeId(2)), [4]);
    assert_eq!(tree.logprobs(NodeId::ROOT), [0.0, 0.0]);
    assert_eq!((tree.answer(NodeId(3)), tree.answer(NodeId(2))), (Some("7"), None));
}

#[test]
fn values_are_backed_up_to_the_root() {
    let mut tree = small();
    tree.back_up(NodeId(3), 1.0);
    tree.back_up(NodeId(4), -1.0);
    tree.back_up(NodeId(1), 0.5);
    tree.back_up(NodeId(2), -0.25);
    let n_w = |id| (tree.node(NodeId(id)).visits, tree.node(NodeId(id)).value_sum);
    assert_eq!([n_w(0), n_w(1), n_w(2), n_w(3), n_w(4)], [(4, 0.25), (3, 0.5), (1, -0.25), (1, 1.0), (1, -1.0)]);
    // V(root) = (3 * 1/6 + 1 * -1/4) / 4.
    assert_eq!(tree.state_value(NodeId::ROOT), Some(0.25 / 4.0));
    assert_eq!(tree.advantage(NodeId(2)), Some(-0.25 - 0.0625));
    assert_eq!(tree.state_value(NodeId(1)), Some(0.0));
    assert_eq!(tree.advantage(NodeId(3)), Some(1.0));
    assert_eq!((tree.state_value(NodeId(2)), tree.advantage(NodeId::ROOT)), (None, None));
}

#[test]
fn a_state_whose_children_were_never_visited_has_no_value() {
    let tree = small();
    assert_eq!(tree.state_value(NodeId::ROOT), None);
    assert_eq!(tree.advantage(NodeId(1)), None);
    assert_eq!(tree.node(NodeId(1)).q().to_bits(), 0);
}

#[test]
fn expanding_by_nothing_changes_nothing() {
    let mut tree = small();
    let before = tree.clone();
    assert!(tree.expand(NodeId(2), &[]).is_empty());
    assert_eq!(tree, before);
    assert_eq!(tree.expand(NodeId(2), &[step(Kind::Plan, "c", 7)]), 5..6);
}

#[test]
fn equal_means_the_same_bits() {
    let tree = small();
    // All nodes lack a value estimate, which is NaN inside; a tree is equal to itself all the same.
    assert_eq!(tree, tree.clone());
    let mut other = tree.clone();
    other.set_value_estimate(NodeId(2), 0.0);
    assert_ne!(tree, other);
    let mut negative_zero = tree.clone();
    negative_zero.set_statistics(NodeId(2), 0, -0.0);
    assert_ne!(tree, negative_zero);
}

#[test]
fn a_stored_step_that_does_not_fit_is_refused() {
    let stored = StoredStep {
        parent: 0,
        kind: Kind::Plan,
        ending: Ending::None,
        text: "c",
        token_ids: &[9],
        logprobs: &[-1.0],
        prior: 0.5,
        visits: 0,
        value_sum: 0.0,
        value_estimate: None,
        reward: None,
        answer: None,
    };
    let refused = |step: StoredStep| small().restore_step(&step).unwrap_err();
    assert!(refused(StoredStep { parent: 5, ..stored }).contains("before"));
    assert!(refused(StoredStep { parent: u32::MAX, ..stored }).contains("before"));
    assert!(refused(StoredStep { kind: Kind::Root, parent: 2, ..stored }).contains("root"));
    assert!(refused(StoredStep { logprobs: &[], parent: 2, ..stored }).contains("differ"));
    // The root's children are 1 and 2; node 5 is no neighbour of theirs.
    assert!(refused(stored).contains("follow each other"));

    let mut tree = small();
    assert_eq!(tree.restore_step(&StoredStep { parent: 1, ..stored }), Ok(NodeId(5)));
    assert_eq!(tree.node(NodeId(1)).child_range(), 3..6);
}
