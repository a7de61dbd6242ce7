//! What was found below each node.

use crate::arena::{Ending, NodeId, Tree};

/// For each node, the first correct and the first wrong solution at or below it.
pub(crate) struct Outcomes {
    correct: Vec<u32>,
    wrong: Vec<u32>,
}

/// No such node.
const NOWHERE: u32 = u32::MAX;

impl Outcomes {
    /// One pass from the last node to the first: children have larger ids than their parents.
    pub(crate) fn of(tree: &Tree) -> Outcomes {
        let mut correct = vec![NOWHERE; tree.len()];
        let mut wrong = correct.clone();
        for id in tree.ids().rev() {
            let at = id.0 as usize;
            match tree.node(id).ending {
                Ending::Correct => correct[at] = id.0,
                Ending::Wrong => wrong[at] = id.0,
                _ => {}
            }
            if let Some(parent) = tree.parent(id) {
                let parent = parent.0 as usize;
                correct[parent] = correct[parent].min(correct[at]);
                wrong[parent] = wrong[parent].min(wrong[at]);
            }
        }
        Outcomes { correct, wrong }
    }

    /// The correct solution at or below `id` that was sampled first.
    pub(crate) fn correct(&self, id: NodeId) -> Option<NodeId> {
        node(self.correct[id.0 as usize])
    }

    /// The wrong solution at or below `id` that was sampled first.
    pub(crate) fn wrong(&self, id: NodeId) -> Option<NodeId> {
        node(self.wrong[id.0 as usize])
    }
}

fn node(id: u32) -> Option<NodeId> {
    (id != NOWHERE).then_some(NodeId(id))
}
