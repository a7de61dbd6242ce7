//! Tests of the examples.

use super::*;
use crate::arena::{Kind, NewNode};
use crate::grown::{grown, info, solution, step};

/// ```text
/// root - 1 a - 3 correct
///      |     ` 4 wrong
///      ` 2 malformed
/// ```
fn tree() -> Tree {
    let mut tree = Tree::new(info("p"), "Q:", &[1, 2, 3]);
    let malformed = NewNode { ending: Ending::Malformed, reward: Some(-1.0), ..step(Kind::Plan, "?", 9) };
    tree.expand(
        NodeId::ROOT,
        &[NewNode { token_ids: vec![4, 5], logprobs: vec![-1.0; 2], ..step(Kind::Plan, "a", 0) }, malformed],
    );
    tree.expand(NodeId(1), &[solution("x", 6, 1.0), solution("y", 7, -1.0)]);
    for (node, value) in [(0, 0.5), (2, -1.0), (1, 0.25), (3, 1.0), (4, -1.0)] {
        tree.back_up(NodeId(node), value);
    }
    tree
}

#[test]
fn a_path_example_holds_the_tokens_as_sampled() {
    let paths = sft_paths(&tree(), 4, 0);
    let expected =
        PathExample { problem_id: "p".into(), ids: vec![1, 2, 3, 4, 5, 6], step_ends: vec![3, 5, 6], node: NodeId(3) };
    assert_eq!(paths, [expected]);
    assert_eq!(paths[0].prompt_len(), 3);
}

#[test]
fn paths_are_chosen_at_random_by_seed_and_tree() {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    let correct: Vec<NewNode> = (0..5).map(|k| solution(&k.to_string(), k, 1.0)).collect();
    tree.expand(NodeId::ROOT, &correct);
    let nodes = |tree: &Tree, seed| sft_paths(tree, 2, seed).iter().map(|path| path.node.0).collect::<Vec<_>>();
    let mut times = [0; 6];
    for seed in 0..1000 {
        let chosen = nodes(&tree, seed);
        assert!(chosen.len() == 2 && chosen[0] < chosen[1]);
        assert_eq!(chosen, nodes(&tree, seed));
        for node in chosen {
            times[node as usize] += 1;
        }
    }
    // Each of the five with probability 2/5: 400 of 1000 times, standard deviation 15.5.
    assert!(times[1..].iter().all(|n| (330..470).contains(n)), "{times:?}");
    let mut other = tree.clone();
    other.info.tree_seed += 1;
    assert!((0..20).any(|seed| nodes(&tree, seed) != nodes(&other, seed)));
    assert_eq!(sft_paths(&tree, 9, 0).len(), 5);
    assert_eq!(sft_paths(&tree, 0, 0), []);
}

#[test]
fn values_stand_at_the_last_token_of_prompt_and_steps() {
    let examples = value_examples(&tree());
    // Q: root -0.25 / 5, a 0.25 / 3, correct 1, wrong -1.
    let (root, a) = (-0.05, (0.25_f64 / 3.0) as f32);
    let expected = [
        ValueExample { ids: vec![1, 2, 3, 4, 5, 6], step_ends: vec![3, 5, 6], targets: vec![root, a, 1.0] },
        ValueExample { ids: vec![1, 2, 3, 4, 5, 7], step_ends: vec![3, 5, 6], targets: vec![root, a, -1.0] },
    ];
    assert_eq!(examples, expected);
}

#[test]
fn a_node_without_visits_or_tokens_gives_no_target() {
    let mut tree = Tree::new(info("p"), "", &[]);
    tree.expand(NodeId::ROOT, &[step(Kind::Plan, "a", 4)]);
    tree.expand(NodeId(1), &[solution("x", 6, 1.0)]);
    tree.set_statistics(NodeId::ROOT, 2, 1.0);
    tree.set_statistics(NodeId(2), 1, 1.0);
    let expected = ValueExample { ids: vec![4, 6], step_ends: vec![2], targets: vec![1.0] };
    assert_eq!(value_examples(&tree), [expected]);
}

#[test]
fn examples_of_a_grown_tree_are_its_complete_paths() {
    let tree = grown(7, 60);
    let leaves = |ending| tree.ids().filter(|&id| tree.node(id).ending == ending).count();
    assert!(leaves(Ending::Correct) > 4 && leaves(Ending::Wrong) > 1);
    let values = value_examples(&tree);
    assert_eq!(values.len(), leaves(Ending::Correct) + leaves(Ending::Wrong));
    for example in values {
        assert!(example.step_ends.windows(2).all(|ends| ends[0] < ends[1]));
        assert_eq!(example.step_ends.last().copied(), Some(example.ids.len() as u32));
        assert!(example.targets.iter().all(|q| (-1.0..=1.0).contains(q)));
        assert!(matches!(example.targets.last(), Some(1.0 | -1.0)));
    }
    for path in sft_paths(&tree, 4, 3) {
        assert_eq!(tree.node(path.node).ending, Ending::Correct);
        assert_eq!(path.ids, tree.prefix_ids(path.node));
        assert_eq!(path.step_ends.len(), tree.path(path.node).len());
        assert_eq!(path.prompt_len(), 3);
    }
}

#[test]
fn outcome_pairs_are_every_correct_path_against_every_wrong_one() {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    let solutions = [("a", 2, 1.0), ("b", 3, -1.0), ("c", 4, 1.0), ("d", 5, -1.0), ("e", 6, -1.0)];
    tree.expand(NodeId::ROOT, &solutions.map(|(text, id, reward)| solution(text, id, reward)));
    let last = |pairs: Vec<(PathExample, PathExample)>| -> Vec<(u32, u32)> {
        pairs.iter().map(|(correct, wrong)| (correct.ids[1], wrong.ids[1])).collect()
    };
    assert_eq!(last(outcome_pairs(&tree, 9, 0)), [(2, 3), (2, 5), (2, 6), (4, 3), (4, 5), (4, 6)]);
    assert_eq!(last(outcome_pairs(&tree, 2, 7)), last(outcome_pairs(&tree, 2, 7)));
    assert_eq!(outcome_pairs(&tree, 2, 7).len(), 2);
}
