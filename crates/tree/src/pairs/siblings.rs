//! The steps after one state with the pairs among them: what a verifier learns from, and is measured by.

use super::PairRules;
use super::select::{Pair, is_usable, selected};
use crate::arena::{NodeId, Tree};

/// The steps after one state, S of them, of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Siblings {
    /// The state that they follow.
    pub state: NodeId,
    /// Every step that was visited, in the order of sampling, but for those that no rule lets into a pair. Length S, at
    /// least 1.
    pub steps: Vec<NodeId>,
    /// The better and the worse step of each pair, as places in `steps`.
    pub pairs: Vec<[usize; 2]>,
}

/// The siblings of every state of a tree that has some, by rising state, with the pairs that [`select_pairs`] takes under
/// the rules.
///
/// A step without visits or tokens is left out, and its pairs with it: its Q says nothing, or it has no end to say it at.
///
/// [`select_pairs`]: super::select_pairs
pub fn siblings(tree: &Tree, rules: &PairRules) -> Vec<Siblings> {
    // By rising state, as the nodes are gone through.
    let mut pairs = selected(tree, rules).into_iter().peekable();
    let mut families = Vec::new();
    for state in tree.ids() {
        let own: Vec<Pair> = std::iter::from_fn(|| pairs.next_if(|pair| pair.state == state)).collect();
        let wanted = |&id: &NodeId| {
            let node = tree.node(id);
            !tree.token_ids(id).is_empty() && node.visits > 0 && is_usable(node)
        };
        let steps: Vec<NodeId> = tree.node(state).children().filter(wanted).collect();
        let place = |id: NodeId| steps.binary_search(&id).ok();
        let pairs = own.iter().filter_map(|pair| Some([place(pair.chosen)?, place(pair.rejected)?])).collect();
        if !steps.is_empty() {
            families.push(Siblings { state, steps, pairs });
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Ending, Kind, NewNode};
    use crate::grown::{grown, info, solution, step};
    use crate::{PairRule, select_pairs};

    #[test]
    fn siblings_are_those_that_a_rule_may_take_with_the_pairs_it_takes() {
        let mut tree = Tree::new(info("p"), "Q:", &[1, 2]);
        let malformed = NewNode { ending: Ending::Malformed, reward: Some(-1.0), ..step(Kind::Plan, "x", 12) };
        let empty = NewNode { token_ids: vec![], logprobs: vec![], ..step(Kind::Plan, "", 0) };
        let steps = [
            step(Kind::Plan, "a", 10),
            step(Kind::Plan, "b", 11),
            malformed,
            step(Kind::Plan, "c", 13),
            solution("s", 14, 1.0),
            empty,
        ];
        tree.expand(NodeId::ROOT, &steps);
        // Q: a -0.5, b 0.75, the malformed one -1, c never visited, the solution 1, the empty one 0.9.
        for (node, (visits, value_sum)) in (1..).zip([(2, -1.0), (4, 3.0), (1, -1.0), (0, 0.0), (1, 1.0), (1, 0.9)]) {
            tree.set_statistics(NodeId(node), visits, value_sum);
        }
        tree.expand(NodeId(2), &[step(Kind::Plan, "d", 20)]);
        tree.set_statistics(NodeId(7), 1, 0.5);
        let rules = PairRules { rule: PairRule::All, ..PairRules::default() };
        assert_eq!(select_pairs(&tree, &rules).len(), 3, "b over a, the empty step over a and over b");
        let family = |state, steps: &[u32], pairs| {
            let steps = steps.iter().copied().map(NodeId).collect();
            Siblings { state: NodeId(state), steps, pairs }
        };
        assert_eq!(siblings(&tree, &rules), [family(0, &[1, 2, 5], vec![[1, 0]]), family(2, &[7], vec![])]);
    }

    #[test]
    fn all_pairs_of_a_searched_tree_are_among_its_siblings() {
        for rule in [PairRule::Sign, PairRule::All, PairRule::MctsDpo, PairRule::Ranked, PairRule::RewardToGo] {
            let rules = PairRules { rule, max_pairs_per_problem: Some(25), ..PairRules::default() };
            let mut count = 0;
            for seed in 0..8 {
                let tree = grown(seed, 40);
                let expected = select_pairs(&tree, &rules);
                let expected = expected.iter().map(|pair| [pair.state_node, pair.chosen_node, pair.rejected_node]);
                let families = siblings(&tree, &rules);
                let found = families.iter().flat_map(|family| {
                    family.pairs.iter().map(|pair| {
                        let [better, worse] = pair.map(|place| family.steps[place].0);
                        [family.state.0, better, worse]
                    })
                });
                let found: Vec<_> = found.collect();
                count += found.len();
                assert_eq!(found, expected.collect::<Vec<_>>(), "{rule}");
            }
            assert!(count >= 8, "{rule}: {count}");
        }
    }
}
