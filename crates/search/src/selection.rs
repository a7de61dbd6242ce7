//! Selection: from the root to a leaf, at each node to the child with the largest score (algorithm, section 2.1).

use crate::config::{FirstPlay, SearchConfig, Selection};
use espalier_tree::{Node, NodeId, Tree};
use rand::Rng;

/// Visits of each node that are under way, and what each counts as.
pub(crate) struct Pending<'a> {
    /// By node; nodes beyond the end have none.
    pub visits: &'a [u32],
    /// The value of a pending visit is minus this.
    pub loss: f64,
}

impl Pending<'_> {
    /// No visit is under way.
    pub(crate) const NONE: Pending<'static> = Pending { visits: &[], loss: 0.0 };

    fn at(&self, id: NodeId) -> u32 {
        self.visits.get(id.0 as usize).copied().unwrap_or(0)
    }
}

/// What the children of one node are scored with; the same for all of them.
struct Scoring {
    selection: Selection,
    /// `c_puct` or `c_uct`.
    c: f64,
    /// PUCT: sqrt(`N_parent`). UCT: sqrt(ln `N_parent`).
    root: f64,
    /// PUCT: Q of an unvisited child.
    first_play: f64,
}

impl Scoring {
    #[inline]
    fn new(config: &SearchConfig, parent: &Node, pending: u32) -> Scoring {
        let visits = f64::from(parent.visits + pending);
        let (c, root) = match config.selection {
            Selection::Puct => (config.c_puct, visits.sqrt()),
            Selection::Uct => (config.c_uct, visits.max(1.0).ln().sqrt()),
        };
        let first_play = match config.first_play {
            FirstPlay::Value(value) => value,
            FirstPlay::BelowParent(reduction) => parent.q() - reduction,
        };
        Scoring { selection: config.selection, c, root, first_play }
    }

    #[inline]
    fn score(&self, child: &Node, pending: u32, loss: f64) -> f64 {
        let visits = child.visits + pending;
        let prior = f64::from(child.prior);
        match self.selection {
            // The same number as below, without its two divisions: most children are never visited.
            Selection::Puct if visits == 0 => self.first_play + self.c * prior * self.root,
            Selection::Puct => q(child, pending, loss) + self.c * prior * self.root / (1.0 + f64::from(visits)),
            Selection::Uct if visits == 0 => f64::INFINITY,
            Selection::Uct => q(child, pending, loss) + self.c * self.root / f64::from(visits).sqrt(),
        }
    }
}

/// Q with pending visits counted as losses.
#[inline]
fn q(child: &Node, pending: u32, loss: f64) -> f64 {
    if pending == 0 {
        return child.value_sum / f64::from(child.visits);
    }
    (child.value_sum - f64::from(pending) * loss) / f64::from(child.visits + pending)
}

/// The child of `parent` to go on with, or `None` if all its children are terminal.
///
/// Among m > 1 equal scores one is taken by a single draw from the tree's generator; without a tie nothing is drawn.
#[inline]
pub(crate) fn select_child(
    tree: &Tree,
    parent: NodeId,
    config: &SearchConfig,
    pending: &Pending,
    generator: &mut impl Rng,
) -> Option<NodeId> {
    let node = tree.node(parent);
    let scoring = Scoring::new(config, node, pending.at(parent));
    let score = |id: NodeId, child: &Node| scoring.score(child, pending.at(id), pending.loss);
    let mut best = None;
    let mut best_score = f64::NEG_INFINITY;
    let mut ties = 0_u32;
    for (id, child) in node.children().zip(tree.children(parent)) {
        if child.ending.is_terminal() {
            continue;
        }
        let score = score(id, child);
        if score > best_score {
            (best, best_score, ties) = (Some(id), score, 1);
        } else if score >= best_score {
            ties += 1;
        }
    }
    if ties <= 1 {
        return best;
    }
    let chosen = below(generator, ties) as usize;
    let is_open = |&id: &NodeId| !tree.node(id).ending.is_terminal();
    let is_best = |&id: &NodeId| score(id, tree.node(id)) >= best_score;
    node.children().filter(is_open).filter(is_best).nth(chosen)
}

/// A number below `count`, uniform but for a bias below `count` / 2^32.
pub(crate) fn below(generator: &mut impl Rng, count: u32) -> u32 {
    ((u64::from(generator.next_u32()) * u64::from(count)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_tree::{Ending, Kind, NewNode, TreeInfo};

    /// A root that was visited 4 times, with a child of these visits and this sum of values.
    fn tree(visits: u32, value_sum: f64) -> Tree {
        let info = TreeInfo {
            run_id: String::new(),
            round: 0,
            problem_id: String::new(),
            question: String::new(),
            reference_answer: String::new(),
            tree_seed: 0,
        };
        let mut tree = Tree::new(info, "", &[]);
        tree.set_statistics(NodeId::ROOT, 4, 2.0);
        let child = NewNode {
            kind: Kind::Plan,
            text: String::new(),
            token_ids: Vec::new(),
            logprobs: Vec::new(),
            prior: 0.25,
            ending: Ending::None,
            reward: None,
            answer: None,
        };
        tree.expand(NodeId::ROOT, &[child]);
        tree.set_statistics(NodeId(1), visits, value_sum);
        tree
    }

    /// (1.5 - 2 * 0.25) / (3 + 2) = 0.2, and without visits under way 1.5 / 3.
    #[test]
    fn a_visit_that_is_under_way_counts_as_a_loss() {
        let tree = tree(3, 1.5);
        assert_eq!(q(tree.node(NodeId(1)), 0, 0.25), 0.5);
        assert_eq!(q(tree.node(NodeId(1)), 2, 0.25), 0.2);
    }

    #[test]
    fn visits_under_way_count_for_parent_and_child() {
        let config = |selection| SearchConfig { selection, c_puct: 2.0, c_uct: 2.0, ..SearchConfig::default() };
        let score = |selection, tree: &Tree, parent, child| {
            let scoring = Scoring::new(&config(selection), tree.node(NodeId::ROOT), parent);
            scoring.score(tree.node(NodeId(1)), child, 0.25)
        };
        // Q 0.2, and c P sqrt(4 + 5) / (1 + 3 + 2) = 2 * 0.25 * 3 / 6 = 0.25.
        let visited = tree(3, 1.5);
        assert!((score(Selection::Puct, &visited, 5, 2) - 0.45).abs() < 1e-12);
        // Q 0.2, and c sqrt(ln(4 + 5) / (3 + 2)).
        let expected = 0.2 + 2.0 * (9_f64.ln() / 5.0).sqrt();
        assert!((score(Selection::Uct, &visited, 5, 2) - expected).abs() < 1e-12);
        // Never visited: the value of a first play is 0, and c P sqrt(9) / 1 = 1.5; with one under way -0.25 + 1.5 / 2.
        let fresh = tree(0, 0.0);
        assert_eq!(score(Selection::Puct, &fresh, 5, 0), 1.5);
        assert_eq!(score(Selection::Puct, &fresh, 5, 1), 0.5);
        assert_eq!(score(Selection::Uct, &fresh, 5, 0), f64::INFINITY);
        // A first play 0.125 below the parent's Q of 2 / 4.
        let below = SearchConfig { first_play: FirstPlay::BelowParent(0.125), ..config(Selection::Puct) };
        let scoring = Scoring::new(&below, fresh.node(NodeId::ROOT), 0);
        assert_eq!(scoring.score(fresh.node(NodeId(1)), 0, 0.0), 0.375 + 2.0 * 0.25 * 2.0);
    }
}
