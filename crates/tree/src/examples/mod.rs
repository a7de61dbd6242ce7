//! What else a tree teaches: correct paths for supervised training, values for the value head (algorithm, section 4).

use crate::arena::{Ending, NodeId, Tree};
use crate::draw::{Purpose, sample};

/// One complete correct path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathExample {
    /// The problem.
    pub problem_id: String,
    /// Tokens of the prompt and of each step, as sampled. Length T.
    pub ids: Vec<u32>,
    /// Where the prompt and each step end in `ids`: offsets, rising, the last is T.
    pub step_ends: Vec<u32>,
    /// The solution's node in its tree.
    pub node: NodeId,
}

impl PathExample {
    /// Number of tokens of the prompt, which carry no loss.
    pub fn prompt_len(&self) -> usize {
        // The prompt's end is the first of `step_ends` by construction.
        self.step_ends.first().map_or(0, |&end| end as usize)
    }
}

/// At most `max_per_problem` complete correct paths of a tree, chosen at random and returned in the order in which they
/// were found. The same seed and tree give the same choice.
pub fn sft_paths(tree: &Tree, max_per_problem: usize, seed: u64) -> Vec<PathExample> {
    let correct: Vec<NodeId> = tree.ids().filter(|&id| tree.node(id).ending == Ending::Correct).collect();
    sample(correct.len(), max_per_problem, Purpose::SftPaths, [seed, tree.info.tree_seed])
        .into_iter()
        .map(|at| path_example(tree, correct[at]))
        .collect()
}

fn path_example(tree: &Tree, leaf: NodeId) -> PathExample {
    let path = tree.path(leaf);
    let mut ids = Vec::with_capacity(path.iter().map(|&at| tree.token_ids(at).len()).sum());
    let mut step_ends = Vec::with_capacity(path.len());
    for at in path {
        ids.extend_from_slice(tree.token_ids(at));
        step_ends.push(ids.len() as u32);
    }
    PathExample { problem_id: tree.info.problem_id.clone(), ids, step_ends, node: leaf }
}

/// At most `max_per_problem` pairs of a complete correct and a complete wrong path of a tree, chosen at random: what
/// outcome-level DPO learns from, a tree taken for so many whole samples. The same seed and tree give the same choice.
pub fn outcome_pairs(tree: &Tree, max_per_problem: usize, seed: u64) -> Vec<(PathExample, PathExample)> {
    let ending = |wanted| tree.ids().filter(|&id| tree.node(id).ending == wanted).collect::<Vec<NodeId>>();
    let (correct, wrong) = (ending(Ending::Correct), ending(Ending::Wrong));
    sample(correct.len() * wrong.len(), max_per_problem, Purpose::OutcomePairs, [seed, tree.info.tree_seed])
        .into_iter()
        .map(|at| (path_example(tree, correct[at / wrong.len()]), path_example(tree, wrong[at % wrong.len()])))
        .collect()
}

/// A complete path and what it came to.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomePath {
    /// The path.
    pub path: PathExample,
    /// Its reward, in [-1, 1].
    pub reward: f32,
    /// Visits of its end: as often as it was sampled, where each simulation samples a whole path.
    pub visits: u32,
}

/// Every complete path of a tree, correct or wrong, in the order in which they were found: a tree taken for so many whole
/// samples of its prompt.
pub fn outcome_paths(tree: &Tree) -> Vec<OutcomePath> {
    let outcome = |leaf| {
        let node = tree.node(leaf);
        Some(OutcomePath { path: path_example(tree, leaf), reward: node.reward()?, visits: node.visits.max(1) })
    };
    complete(tree).filter_map(outcome).collect()
}

/// The ends of the complete paths of a tree, correct or wrong.
fn complete(tree: &Tree) -> impl Iterator<Item = NodeId> {
    tree.ids().filter(|&id| matches!(tree.node(id).ending, Ending::Correct | Ending::Wrong))
}

/// One complete path with the values that the search found along it.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueExample {
    /// Tokens of the prompt and of each step. Length T.
    pub ids: Vec<u32>,
    /// Offset in `ids` past the last token of the prompt and of each step, rising; at most path length + 1 of them.
    pub step_ends: Vec<u32>,
    /// Q of the node that ends there, in [-1, 1]; as long as `step_ends`.
    pub targets: Vec<f32>,
}

/// Every complete path of a tree, correct or wrong, with Q at the end of the prompt and of each step.
///
/// A node that was never visited has no value, and one without tokens has no last token: neither gives a target.
pub fn value_examples(tree: &Tree) -> Vec<ValueExample> {
    complete(tree).map(|leaf| value_example(tree, leaf)).collect()
}

fn value_example(tree: &Tree, leaf: NodeId) -> ValueExample {
    let mut example = ValueExample { ids: tree.prefix_ids(leaf), step_ends: Vec::new(), targets: Vec::new() };
    let mut end = 0;
    for at in tree.path(leaf) {
        let tokens = tree.token_ids(at).len() as u32;
        end += tokens;
        if tokens > 0 && tree.node(at).visits > 0 {
            example.step_ends.push(end);
            example.targets.push(tree.node(at).q() as f32);
        }
    }
    example
}

#[cfg(test)]
mod tests;
