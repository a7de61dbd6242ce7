//! Tests of the search through its public interface.

mod by_hand;
mod engine;
mod fake;
mod fill;
mod independence;
mod judges;
mod leaves;
mod optimum;
#[path = "../../examples/own_policy.rs"]
mod own_policy;
mod reference;
mod rules;
mod strategies;
mod valuers;
mod values;

use espalier_search::fake::{FakeJudge, FakePolicy, FakeSource};
use espalier_search::{Policy, SearchConfig, SearchError, Stops, TreeJob, search};
use espalier_tree::{Ending, NodeId, Tree, TreeInfo};

const PROMPT: &str = "<question>What is 3 + 4?</question><plan>";

fn info(tree_seed: u64) -> TreeInfo {
    TreeInfo {
        run_id: "run".into(),
        round: 1,
        problem_id: format!("p{tree_seed}"),
        question: "What is 3 + 4?".into(),
        reference_answer: "7".into(),
        tree_seed,
    }
}

fn job(index: u64) -> TreeJob {
    TreeJob { index, info: info(index), prompt: PROMPT.into() }
}

/// The one tree of a search over one job.
fn tree_of(config: &SearchConfig, source: impl FakeSource) -> Tree {
    searched(config, 1, 1, &mut FakePolicy::new(source)).expect("the search runs").remove(0).1
}

/// The trees of jobs `0..count`, in the order of completion.
fn searched(
    config: &SearchConfig,
    in_flight: usize,
    count: u64,
    policy: &mut impl Policy,
) -> Result<Vec<(u64, Tree)>, SearchError> {
    let mut trees = Vec::new();
    search(config, in_flight, &Stops::default(), (0..count).map(job), policy, &FakeJudge, |index, tree| {
        trees.push((index, tree));
        Ok(())
    })?;
    Ok(trees)
}

/// The node with this text among the children.
fn child(tree: &Tree, parent: NodeId, text: &str) -> NodeId {
    tree.node(parent).children().find(|&id| tree.text(id) == text).expect("such a child")
}

fn endings(tree: &Tree) -> Vec<Ending> {
    tree.ids().map(|id| tree.node(id).ending).collect()
}

fn plan(number: usize, body: &str) -> String {
    format!("<step>Plan {number}: {body}</step>")
}

fn solution(answer: &str) -> String {
    format!("</plan><solution>\\boxed{{{answer}}}</solution>")
}

#[test]
fn the_example_of_an_own_policy_runs() {
    own_policy::main().expect("the example");
}
