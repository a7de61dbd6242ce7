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
fn below(generator: &mut impl Rng, count: u32) -> u32 {
    ((u64::from(generator.next_u32()) * u64::from(count)) >> 32) as u32
}
