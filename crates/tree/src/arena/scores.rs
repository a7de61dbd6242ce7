//! What judges said of each step: one number for each judge and node, in columns named after the judges.

use super::{NodeId, Tree};
use std::sync::Arc;

/// From here on a judge's number says that a step passes.
pub const PASSES: f32 = 0.5;

/// The judges' numbers of a tree, node after node.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores {
    names: Arc<[String]>,
    /// `names.len()` for each node; NaN where a judge was not asked or could not speak.
    values: Vec<f32>,
}

impl PartialEq for Scores {
    fn eq(&self, other: &Scores) -> bool {
        self.names == other.names
            && self.values.iter().map(|x| x.to_bits()).eq(other.values.iter().map(|x| x.to_bits()))
    }
}

impl Scores {
    /// Makes room for one more node, which no judge has seen.
    #[inline]
    pub(super) fn push_node(&mut self) {
        if !self.names.is_empty() {
            self.values.resize(self.values.len() + self.names.len(), f32::NAN);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
    }
}

impl Tree {
    /// Names the judges whose numbers the tree holds, in the order of [`scores`](Tree::scores). What earlier names held is
    /// dropped.
    pub fn set_judges(&mut self, names: Arc<[String]>) {
        self.scores.values.clear();
        self.scores.values.resize(names.len() * self.nodes.len(), f32::NAN);
        self.scores.names = names;
    }

    /// The judges' names; none where only the answer was judged.
    #[inline]
    pub fn judges(&self) -> &[String] {
        &self.scores.names
    }

    /// What each judge said of a step, in [0, 1], 1 for "passes"; NaN where it was not asked or could not speak.
    #[inline]
    pub fn scores(&self, id: NodeId) -> &[f32] {
        let count = self.scores.names.len();
        &self.scores.values[id.index() * count..(id.index() + 1) * count]
    }

    /// Records what the judges said of a step.
    ///
    /// # Panics
    /// When there are not as many numbers as judges.
    #[inline]
    pub fn set_scores(&mut self, id: NodeId, scores: &[f32]) {
        let count = self.scores.names.len();
        self.scores.values[id.index() * count..(id.index() + 1) * count].copy_from_slice(scores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grown::{info, step};
    use crate::{Kind, NewNode};

    #[test]
    fn a_tree_holds_one_number_for_each_judge_and_step() {
        let mut tree = Tree::new(info("p"), "prompt", &[1]);
        assert!(tree.judges().is_empty() && tree.scores(NodeId::ROOT).is_empty());
        tree.set_judges(["answer".to_owned(), "equations".to_owned()].into());
        let steps: Vec<NewNode> = (0..2).map(|token| step(Kind::Plan, "s", token)).collect();
        tree.expand(NodeId::ROOT, &steps);
        tree.set_scores(NodeId(2), &[1.0, f32::NAN]);
        assert!(tree.scores(NodeId(1)).iter().all(|score| score.is_nan()), "nobody was asked");
        assert!(tree.scores(NodeId(2))[0] == 1.0 && tree.scores(NodeId(2))[1].is_nan());
        let same = tree.clone();
        assert_eq!(tree, same);
        tree.set_scores(NodeId(1), &[0.0, 1.0]);
        assert_ne!(tree, same);
    }
}
