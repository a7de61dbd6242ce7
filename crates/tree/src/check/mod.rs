//! What must hold in every tree that a search made, and where a tree breaks it.

use crate::arena::{Ending, Kind, NodeId, Tree};
use thiserror::Error;

/// Rounding that sums in different orders may differ by, per value summed.
const TOLERANCE: f64 = 1e-9;

/// A rule that a node breaks.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// The children were visited more often than the node.
    #[error("node {node}: {visits} visits, but its children have {children}")]
    Visits {
        /// The node.
        node: u32,
        /// Its N.
        visits: u32,
        /// The sum of its children's N.
        children: u64,
    },
    /// The values backed up from the node itself, W less its children's, do not lie in [-1, 1] on average.
    #[error("node {node}: {own_visits} values of its own add up to {own_sum}")]
    ValueSum {
        /// The node.
        node: u32,
        /// N less the children's N.
        own_visits: i64,
        /// W less the children's W.
        own_sum: f64,
    },
    /// A path that ended was backed up with something else than its reward.
    #[error("node {node}: {visits} visits at reward {reward} add up to {value_sum}")]
    BackedUp {
        /// The node.
        node: u32,
        /// Its N.
        visits: u32,
        /// Its reward.
        reward: f32,
        /// Its W.
        value_sum: f64,
    },
    /// Ending and reward contradict each other: +1 belongs to correct, -1 to the other ends of a path, none to the rest. Where
    /// judges weighed a solution, its reward may lie between.
    #[error("node {node}: ending {ending:?} with reward {reward:?}")]
    Reward {
        /// The node.
        node: u32,
        /// Its ending.
        ending: Ending,
        /// Its reward.
        reward: Option<f32>,
    },
    /// An ending that the node's kind or children rule out.
    #[error("node {node}: ending {ending:?} at a {kind:?} with {children} children, {open} of them open")]
    Ending {
        /// The node.
        node: u32,
        /// Its ending.
        ending: Ending,
        /// Its kind.
        kind: Kind,
        /// Number of children.
        children: usize,
        /// Number of children that are not terminal.
        open: usize,
    },
    /// The root is not the only root, or not at depth 0, or a child is not one deeper than its parent.
    #[error("node {node}: a {kind:?} at depth {depth} does not fit its place")]
    Place {
        /// The node.
        node: u32,
        /// Its kind.
        kind: Kind,
        /// Its depth.
        depth: u16,
    },
    /// A number that cannot be what it says: a log-probability above 0, a prior or a value out of range, NaN.
    #[error("node {node}: {name} is {value}")]
    Number {
        /// The node.
        node: u32,
        /// Which number.
        name: &'static str,
        /// Its value.
        value: f32,
    },
}

/// All rules that a tree breaks, by rising node; none for a tree that a search made.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for id in tree.ids() {
        place(tree, id, &mut found);
        ending(tree, id, &mut found);
        statistics(tree, id, &mut found);
        numbers(tree, id, &mut found);
    }
    found
}

fn place(tree: &Tree, id: NodeId, found: &mut Vec<Violation>) {
    let node = tree.node(id);
    let fits = match tree.parent(id) {
        None => id == NodeId::ROOT && node.kind == Kind::Root && node.depth == 0,
        Some(parent) => parent < id && node.kind != Kind::Root && node.depth == tree.node(parent).depth + 1,
    };
    if !fits {
        found.push(Violation::Place { node: id.0, kind: node.kind, depth: node.depth });
    }
}

fn ending(tree: &Tree, id: NodeId, found: &mut Vec<Violation>) {
    let node = tree.node(id);
    let is_weighed = !tree.judges().is_empty();
    let fits = match (node.ending, node.reward()) {
        (Ending::None | Ending::Exhausted | Ending::Unverified, reward) => reward.is_none(),
        (Ending::Correct, Some(reward)) if is_weighed => 0.0 < reward && reward <= 1.0,
        (Ending::Wrong, Some(reward)) if is_weighed => (-1.0..=0.0).contains(&reward),
        (Ending::Correct, reward) => reward == Some(1.0),
        (Ending::Wrong | Ending::Malformed | Ending::TooDeep | Ending::Length, reward) => reward == Some(-1.0),
    };
    if !fits {
        found.push(Violation::Reward { node: id.0, ending: node.ending, reward: node.reward() });
    }
    let children = node.child_range().len();
    let open = node.children().filter(|&child| !tree.node(child).ending.is_terminal()).count();
    let fits = match node.ending {
        Ending::None => node.kind != Kind::Solution,
        // No children at all: the policy had nothing to say, as when its context is full.
        Ending::Exhausted => node.kind != Kind::Solution && open == 0,
        Ending::Correct | Ending::Wrong | Ending::Unverified => node.kind == Kind::Solution && children == 0,
        Ending::Malformed | Ending::TooDeep | Ending::Length => node.kind != Kind::Root && children == 0,
    };
    if !fits {
        found.push(Violation::Ending { node: id.0, ending: node.ending, kind: node.kind, children, open });
    }
}

fn statistics(tree: &Tree, id: NodeId, found: &mut Vec<Violation>) {
    let node = tree.node(id);
    let (children, children_sum) = node.children().fold((0_u64, 0.0), |(n, w), child| {
        let child = tree.node(child);
        (n + u64::from(child.visits), w + child.value_sum)
    });
    if u64::from(node.visits) < children {
        found.push(Violation::Visits { node: id.0, visits: node.visits, children });
        return;
    }
    let own_visits = i64::from(node.visits) - children as i64;
    let own_sum = node.value_sum - children_sum;
    let slack = TOLERANCE * (1.0 + f64::from(node.visits));
    if !within(own_sum, own_visits as f64 + slack) {
        found.push(Violation::ValueSum { node: id.0, own_visits, own_sum });
    }
    if let Some(reward) = node.reward()
        && !within(node.value_sum - f64::from(reward) * f64::from(node.visits), slack)
    {
        let (visits, value_sum) = (node.visits, node.value_sum);
        found.push(Violation::BackedUp { node: id.0, visits, reward, value_sum });
    }
}

/// Whether a number is at most `bound` away from 0; NaN is not.
fn within(number: f64, bound: f64) -> bool {
    (-bound..=bound).contains(&number)
}

fn numbers(tree: &Tree, id: NodeId, found: &mut Vec<Violation>) {
    let node = tree.node(id);
    let mut demand = |fits: bool, name, value| {
        if !fits {
            found.push(Violation::Number { node: id.0, name, value });
        }
    };
    demand((0.0..=1.0).contains(&node.prior), "prior", node.prior);
    if let Some(value) = node.value_estimate() {
        demand((-1.0..=1.0).contains(&value), "value_estimate", value);
    }
    if let Some(&wrong) = tree.scores(id).iter().find(|score| !score.is_nan() && !(0.0..=1.0).contains(*score)) {
        demand(false, "judge", wrong);
    }
    if let Some(&wrong) = tree.logprobs(id).iter().find(|&logprob| !(..=0.0).contains(logprob)) {
        demand(false, "logprob", wrong);
    }
}

#[cfg(test)]
mod tests;
