//! Ranked lists: all steps of one kind after one state, best first, for listwise objectives.

use super::PairRules;
use super::select::{ranking, usable_children};
use crate::arena::{Kind, NodeId, Tree};
use crate::error::TreeError;
use espalier_files::Unpublished;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// The siblings of one kind after one state, K of them, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedList {
    /// The problem.
    pub problem_id: String,
    /// Text of the state.
    pub prompt: String,
    /// Tokens of the state.
    pub prompt_ids: Vec<u32>,
    /// Text of each step. Length K.
    pub responses: Vec<String>,
    /// Tokens of each step. Length K.
    pub response_ids: Vec<Vec<u32>>,
    /// Q of each step, falling. Length K.
    pub q: Vec<f32>,
    /// N of each step. Length K.
    pub visits: Vec<u32>,
    /// Kind of all steps.
    pub kind: Kind,
    /// Depth of all steps.
    pub depth: u16,
    /// The state's node in its tree.
    pub state_node: u32,
}

impl RankedList {
    /// The list, if its columns are equally long and it is ranked.
    pub(super) fn checked(self) -> Result<RankedList, &'static str> {
        let steps = self.response_ids.len();
        if self.q.len() != steps || self.visits.len() != steps {
            return Err("its response_ids, q and visits are not equally long");
        }
        if !self.q.is_sorted_by(|a, b| a >= b) {
            return Err("its q does not fall");
        }
        Ok(self)
    }
}

/// The ranked lists of a tree: every state's siblings of a kind that the rules let into a pair, if they are two or more and
/// Q of the best is above Q of the worst by at least `min_margin`.
pub fn ranked_lists(tree: &Tree, rules: &PairRules) -> Vec<RankedList> {
    let mut lists = Vec::new();
    let mut siblings = Vec::new();
    for state in tree.ids() {
        for kind in Kind::STEPS {
            usable_children(tree, state, kind, rules, &mut siblings);
            let ranking = ranking(tree, &siblings);
            let (Some(&best), Some(&worst)) = (ranking.first(), ranking.last()) else { continue };
            let margin = tree.node(best).q() - tree.node(worst).q();
            if margin > 0.0 && margin >= rules.min_margin {
                lists.push(list(tree, state, &ranking));
            }
        }
    }
    lists
}

fn list(tree: &Tree, state: NodeId, ranking: &[NodeId]) -> RankedList {
    let best = tree.node(ranking[0]);
    RankedList {
        problem_id: tree.info.problem_id.clone(),
        prompt: tree.path(state).into_iter().map(|at| tree.text(at)).collect(),
        prompt_ids: tree.prefix_ids(state),
        responses: ranking.iter().map(|&id| tree.text(id).to_owned()).collect(),
        response_ids: ranking.iter().map(|&id| tree.token_ids(id).to_vec()).collect(),
        q: ranking.iter().map(|&id| tree.node(id).q() as f32).collect(),
        visits: ranking.iter().map(|&id| tree.node(id).visits).collect(),
        kind: best.kind,
        depth: best.depth,
        state_node: state.0,
    }
}

/// Writes the ranked lists of all trees as JSONL, one [`RankedList`] a line, and returns their number.
///
/// # Errors
/// When a tree cannot be read or the file cannot be written; then there is none.
pub fn write_ranked_lists(
    path: &Path,
    trees: impl IntoIterator<Item = Result<Tree, TreeError>>,
    rules: &PairRules,
) -> Result<u64, TreeError> {
    let mut file = Unpublished::create(path)?;
    let mut count = 0;
    for tree in trees {
        for list in ranked_lists(&tree?, rules) {
            let written = serde_json::to_writer(&mut file, &list).map_err(std::io::Error::from);
            written.and_then(|()| file.write_all(b"\n")).map_err(TreeError::write(path))?;
            count += 1;
        }
    }
    file.publish()?;
    Ok(count)
}
