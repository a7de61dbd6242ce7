//! Selection: from the root to a leaf, at each node to the child with the largest Q + U (algorithm, section 2.1).

use espalier_tree::{Node, NodeId, Tree};
use rand::Rng;

/// Q + U of a child, with U = `c_puct` * P * sqrt(`N_parent`) / (1 + `N_child`); Q of an unvisited child is 0.
#[inline]
fn score(child: &Node, c_puct: f64, sqrt_parent_visits: f64) -> f64 {
    let exploration = c_puct * f64::from(child.prior) * sqrt_parent_visits;
    if child.visits == 0 {
        // The same number as below, without its two divisions: most children are never visited.
        return exploration;
    }
    child.value_sum / f64::from(child.visits) + exploration / (1.0 + f64::from(child.visits))
}

/// The child of `parent` to go on with, or `None` if all its children are terminal.
///
/// Among m > 1 equal scores one is taken by a single draw from the tree's generator; without a tie nothing is drawn.
#[inline]
pub(crate) fn select_child(tree: &Tree, parent: NodeId, c_puct: f64, generator: &mut impl Rng) -> Option<NodeId> {
    let node = tree.node(parent);
    let sqrt_parent_visits = f64::from(node.visits).sqrt();
    let mut best = None;
    let mut best_score = f64::NEG_INFINITY;
    let mut ties = 0_u32;
    for id in node.children() {
        let child = tree.node(id);
        if child.ending.is_terminal() {
            continue;
        }
        let score = score(child, c_puct, sqrt_parent_visits);
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
    let is_best = |&id: &NodeId| score(tree.node(id), c_puct, sqrt_parent_visits) >= best_score;
    node.children().filter(is_open).filter(is_best).nth(chosen)
}

/// A number below `count`, uniform but for a bias below `count` / 2^32.
fn below(generator: &mut impl Rng, count: u32) -> u32 {
    ((u64::from(generator.next_u32()) * u64::from(count)) >> 32) as u32
}
