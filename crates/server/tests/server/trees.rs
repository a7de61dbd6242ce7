//! What is searched, and what the trees hold.

use espalier_search::TreeJob;
use espalier_tree::{Tree, TreeInfo};

pub fn jobs(count: u64) -> impl Iterator<Item = TreeJob> {
    (0..count).map(|index| TreeJob {
        index,
        info: TreeInfo {
            run_id: "test".into(),
            round: 0,
            problem_id: format!("p{index}"),
            question: format!("What is {index} + 7?"),
            reference_answer: "7".into(),
            tree_seed: 11 * index,
        },
        prompt: format!("<question>What is {index} + 7?</question><plan>"),
    })
}

/// All that is in a tree.
pub fn content(tree: &Tree) -> Vec<String> {
    tree.ids()
        .map(|id| format!("{:?} {:?} {:?} {:?}", tree.node(id), tree.text(id), tree.token_ids(id), tree.logprobs(id)))
        .collect()
}
