//! Tests of the exports, line by line.

use super::*;
use crate::arena::{Kind, TreeInfo};
use crate::grown::{info, solution, step};
use crate::pairs::{PairRules, select_pairs};
use std::fs;

/// ```text
/// root - 1 good - 3 next - 5 correct
///      |        ` 4 wrong
///      ` 2 bad
/// ```
fn tree(info: TreeInfo) -> Tree {
    let mut tree = Tree::new(info, "Solve.\n\"Q\" ", &[1]);
    tree.expand(NodeId::ROOT, &[step(Kind::Plan, "good\n", 2), step(Kind::Plan, "bad\n", 3)]);
    tree.expand(NodeId(1), &[step(Kind::Plan, "next\n", 4), solution("wrong", 5, -1.0)]);
    tree.expand(NodeId(3), &[solution("7!", 6, 1.0), solution("8", 7, -1.0)]);
    for (node, value) in [(1, 0.5), (2, -0.5), (4, -1.0), (5, 1.0), (6, -1.0), (3, 0.75)] {
        tree.back_up(NodeId(node), value);
    }
    tree
}

#[test]
fn llama_factory_reads_one_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let pairs = select_pairs(&tree(info("p")), &PairRules::default());
    write_llama_factory(&path, &pairs).unwrap();
    let expected = concat!(
        r#"{"instruction":"Solve.\n\"Q\" ","input":"","chosen":"good\n","rejected":"bad\n"}"#,
        "\n",
        r#"{"instruction":"Solve.\n\"Q\" good\nnext\n","input":"","chosen":"7!","rejected":"8"}"#,
        "\n",
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn step_dpo_reads_the_question_the_steps_so_far_and_whole_paths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let tree = tree(info("p"));
    let pairs = select_pairs(&tree, &PairRules::default());
    write_step_dpo(&path, &pairs, [Ok(tree)]).unwrap();
    // Nothing wrong was found below "bad", so it has no full path; the first correct one below "good" is through "next".
    let expected = concat!(
        r#"{"dataset":"run","prompt":"What is p?","initial_reason_steps":"","chosen":"good\n","rejected":"bad\n","#,
        r#""full_chosen":"good\nnext\n7!","full_rejected":"","answer":"7"}"#,
        "\n",
        r#"{"dataset":"run","prompt":"What is p?","initial_reason_steps":"good\nnext\n","chosen":"7!","rejected":"8","#,
        r#""full_chosen":"7!","full_rejected":"8","answer":"7"}"#,
        "\n",
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn a_pair_finds_its_tree_among_those_of_other_problems_and_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let later = TreeInfo { round: 2, run_id: "later".into(), ..info("p") };
    // The same problem searched twice in a round, with other steps.
    let mut twin = Tree::new(TreeInfo { run_id: "twin".into(), ..info("p") }, "Solve.\n\"Q\" ", &[1]);
    twin.expand(NodeId::ROOT, &[step(Kind::Plan, "fair\n", 2), step(Kind::Plan, "bad\n", 3)]);
    let trees = [tree(info("q")), tree(later), twin, tree(info("p"))];
    let pairs = select_pairs(&trees[3], &PairRules::default());
    write_step_dpo(&path, &pairs, trees.clone().map(Ok)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with(r#"{"dataset":"run","prompt":"What is p?""#)).count(), 2);
    assert_eq!(text.lines().count(), 2);

    fs::remove_file(&path).unwrap();
    let [other, later, twin, _] = trees;
    let error = write_step_dpo(&path, &pairs, [other, later, twin].map(Ok)).unwrap_err();
    assert_eq!(error.to_string(), "no given tree holds the pair of nodes 1 and 2 of problem p, round 1");
    assert!(!path.exists());
}

#[test]
fn a_tree_that_cannot_be_read_stops_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let unreadable = TreeError::NoShards { path: folder.path().to_owned() };
    let error = write_step_dpo(&path, &[], [Err(unreadable)]).unwrap_err();
    assert!(matches!(error, TreeError::NoShards { .. }), "{error}");
    assert!(!path.exists());
}
