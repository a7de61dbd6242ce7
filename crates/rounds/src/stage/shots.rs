//! Correct paths of stored trees, as worked problems to be shown before others.

use anyhow::{Context as _, Result};
use espalier_files::seed_from;
use espalier_tree::{Ending, NodeId, Tree, read_trees};
use std::path::Path;

/// One correct path of each solved problem in a folder of trees, as its question and the texts of its steps. The seed
/// decides which path it is and in which order the problems come.
///
/// # Errors
/// A folder without readable trees.
pub fn found(folder: &Path, seed: u64) -> Result<Vec<(String, Vec<String>)>> {
    let trees = || read_trees(folder).with_context(|| format!("shots: cannot read trees in {}", folder.display()));
    let mut paths = Vec::new();
    for tree in trees()? {
        let tree = tree.with_context(|| format!("shots: cannot read trees in {}", folder.display()))?;
        let ends: Vec<NodeId> = tree.ids().filter(|&id| tree.node(id).ending == Ending::Correct).collect();
        let place = |end: &NodeId| seed_from(&[&seed, &"shot", &tree.info.problem_id, &end.0]);
        if let Some(end) = ends.into_iter().min_by_key(place) {
            let order = seed_from(&[&seed, &"shots", &tree.info.problem_id]);
            paths.push((order, tree.info.question.clone(), steps(&tree, end)));
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(|(_, question, steps)| (question, steps)).collect())
}

/// The texts of the steps from the root to a node.
fn steps(tree: &Tree, end: NodeId) -> Vec<String> {
    let below_root = tree.path(end).into_iter().filter(|&id| tree.parent(id).is_some());
    below_root.map(|id| tree.text(id).to_owned()).collect()
}
