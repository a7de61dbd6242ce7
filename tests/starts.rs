//! Searches that start in the middle of solutions.

use crate::tiny::{finished, mcts_gen, shared, succeed, text};
use assert_cmd::Command;
use espalier_task::{Format, Granularity, Task, load_problems};
use espalier_tree::{NodeId, Tree, check, read_pairs, read_trees};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

fn search(states: &str, out: &Path, more: &[&str]) -> Command {
    let mut command = mcts_gen();
    command.args(["search", "--threads", "1", "--simulations", "6", "--temperature", "1.2", "--max-step-tokens", "60"]);
    command.args(["--evaluation", "zero", "--states", states]).args(more);
    command.arg("--policy").arg(finished().join("policy-001"));
    command.arg("--problems").arg(shared().1.join("problems/warm_start.jsonl")).arg("--out").arg(out);
    command
}

fn searched(states: &str, out: &Path, more: &[&str]) -> Vec<Tree> {
    succeed(&mut search(states, out, more));
    let trees: Vec<Tree> = read_trees(&out.join("trees")).unwrap().map(Result::unwrap).collect();
    trees.iter().for_each(|tree| assert_eq!(check(tree), []));
    trees
}

/// What stands behind the prompt in each tree's root, by the problem's id.
fn starts(trees: &[Tree], task: &Task) -> HashMap<String, String> {
    let start = |tree: &Tree| {
        let prompt = task.prompt_of(&tree.info.question).unwrap();
        (tree.info.problem_id.clone(), tree.text(NodeId::ROOT).strip_prefix(prompt.as_str()).unwrap().to_owned())
    };
    trees.iter().map(start).collect()
}

#[test]
fn trees_start_behind_worked_steps_and_behind_states_of_earlier_trees() {
    let root = tempfile::tempdir().unwrap();
    let task = Task::built_in(Format::Xml, Granularity::Plan);
    let problems = load_problems(&shared().1.join("problems/warm_start.jsonl"), None).unwrap();
    let worked = searched("worked", &root.path().join("worked"), &[]);
    let given = starts(&worked, &task);
    for problem in &problems {
        let steps = task.segments(problem.solution.as_ref().unwrap());
        let beginnings: Vec<String> = (1..steps.len()).map(|count| steps[..count].concat()).collect();
        assert!(beginnings.contains(&given[&problem.id]), "{:?} of {beginnings:?}", given[&problem.id]);
    }
    // What is given is asked with, not learnt: it is part of each pair's prompt.
    let roots: HashSet<&str> = worked.iter().map(|tree| tree.text(NodeId::ROOT)).collect();
    let pairs = read_pairs(&root.path().join("worked/pairs")).unwrap();
    assert!(pairs.iter().all(|pair| roots.iter().any(|root| pair.prompt.starts_with(root))));

    // Half of them, and states of those trees: behind what they were given themselves.
    let first = root.path().join("worked/trees");
    let first = first.to_str().unwrap();
    let out = root.path().join("on");
    let again = starts(&searched(first, &out, &["--states-share", "0.5"]), &task);
    let states: HashMap<&str, HashSet<String>> = worked
        .iter()
        .map(|tree| {
            (tree.info.problem_id.as_str(), {
                let path = |id: NodeId| tree.path(id).into_iter().skip(1).map(|at| tree.text(at)).collect::<String>();
                tree.ids().skip(1).map(|id| given[&tree.info.problem_id].clone() + &path(id)).collect()
            })
        })
        .collect();
    let begun = again.values().filter(|start| !start.is_empty()).count();
    assert!((1..problems.len()).contains(&begun), "{begun} of {}", problems.len());
    assert!(again.iter().all(|(id, start)| start.is_empty() || states[id.as_str()].contains(start)), "{again:?}");

    // The same states again, and no other search into the same folder.
    assert_eq!(starts(&searched(first, &root.path().join("same"), &["--states-share", "0.5"]), &task), again);
    for (flags, said) in [(&["--states-share", "1.0"][..], "starts.share"), (&["--seed", "3"], "seed")] {
        let other = if flags[0] == "--seed" { [&["--states-share", "0.5"], flags].concat() } else { flags.to_vec() };
        let output = search(first, &out, &other).output().unwrap();
        assert!(!output.status.success() && text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    for (states, said) in [("nowhere", "cannot read trees in nowhere"), ("", "starts.states")] {
        let output = search(states, &root.path().join("none"), &[]).output().unwrap();
        assert!(!output.status.success() && text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    assert!(fs::read_dir(root.path().join("none")).map_or(true, |mut all| all.next().is_none()));
}
