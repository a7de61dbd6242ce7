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

/// For each node the mean reward of all ends of paths at or below it, each counted as often as it was visited; NaN where
/// none was found.
pub fn rewards_to_go(tree: &Tree) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); tree.len()];
    for id in tree.ids().rev() {
        let node = tree.node(id);
        let at = id.0 as usize;
        if let Some(reward) = node.reward() {
            let count = f64::from(node.visits.max(1));
            sums[at] = (count * f64::from(reward), count);
        }
        if let Some(parent) = tree.parent(id) {
            let (sum, count) = sums[at];
            let above = &mut sums[parent.0 as usize];
            *above = (above.0 + sum, above.1 + count);
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count).collect()
}

fn node(id: u32) -> Option<NodeId> {
    (id != NOWHERE).then_some(NodeId(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Kind;
    use crate::grown::{info, solution, step};

    #[test]
    fn a_reward_to_go_is_the_mean_of_the_ends_below_by_their_visits() {
        let mut tree = Tree::new(info("p"), "Q:", &[1]);
        tree.expand(NodeId::ROOT, &[step(Kind::Plan, "a", 10), step(Kind::Plan, "b", 11), solution("s", 12, -1.0)]);
        tree.expand(NodeId(1), &[solution("t", 20, 1.0), solution("u", 21, -1.0)]);
        for (node, visits) in [(3, 1), (4, 3), (5, 2)] {
            tree.set_statistics(NodeId(node), visits, 0.0);
        }
        let found = rewards_to_go(&tree);
        // (3 - 2) / 5 below a, nothing below b, (3 - 2 - 1) / 6 at the root.
        assert_eq!((found[1], found[2].is_nan(), found[0]), (0.2, true, 0.0));
        assert_eq!(found[3..], [-1.0, 1.0, -1.0]);
    }
}
