//! Selection: which siblings of a tree make a pair.

use super::pair::State;
use super::{PairRule, PairRules, StepPair};
use crate::arena::{Ending, Kind, Node, NodeId, Tree};
use crate::draw::{Purpose, sample};
use crate::outcome::Outcomes;
use std::collections::{HashMap, HashSet};

/// The pairs of a tree under the rules, by rising state, then by kind, then in the order in which the steps were sampled.
pub fn select_pairs(tree: &Tree, rules: &PairRules) -> Vec<StepPair> {
    let mut found = Found { tree, rules, outcomes: Outcomes::of(tree), pairs: Vec::new() };
    let mut siblings = Vec::new();
    for state in tree.ids() {
        for kind in [Kind::Plan, Kind::Step, Kind::Solution] {
            siblings.clear();
            siblings.extend(tree.node(state).children().filter(|&id| {
                let node = tree.node(id);
                node.kind == kind && node.visits >= rules.min_visits && is_usable(node)
            }));
            found.add_state(state, kind, &siblings);
        }
    }
    let mut pairs = found.pairs;
    if rules.dedup {
        drop_repeated(tree, &mut pairs);
    }
    if let Some(most) = rules.max_pairs_per_problem {
        let chosen = sample(pairs.len(), most, Purpose::PairCap, [tree.info.tree_seed, 0]);
        pairs = chosen.into_iter().map(|at| pairs[at]).collect();
    }

    let mut state: Option<(NodeId, State)> = None;
    let mut pair_of = |&Pair { state: id, chosen, rejected }: &Pair| {
        let known = state.take().filter(|(at, _)| *at == id).unwrap_or_else(|| (id, State::of(tree, id)));
        state.insert(known).1.pair(tree, chosen, rejected)
    };
    pairs.iter().map(&mut pair_of).collect()
}

/// Texts that are no step, and steps that were not to be, teach nothing about the plan.
fn is_usable(node: &Node) -> bool {
    !matches!(node.ending, Ending::Malformed | Ending::TooDeep | Ending::Length)
}

#[derive(Clone, Copy)]
struct Pair {
    state: NodeId,
    chosen: NodeId,
    rejected: NodeId,
}

struct Found<'a> {
    tree: &'a Tree,
    rules: &'a PairRules,
    outcomes: Outcomes,
    pairs: Vec<Pair>,
}

impl Found<'_> {
    /// Adds the pairs among siblings of one kind.
    fn add_state(&mut self, state: NodeId, kind: Kind, siblings: &[NodeId]) {
        match self.rules.rule {
            PairRule::Sign if kind == Kind::Solution => {
                self.add_extremes(state, siblings, |best, worst| best > 0.0 && worst < 0.0);
            }
            PairRule::Sign => self.add_all(state, siblings, |better, worse| better > 0.0 && worse < 0.0),
            PairRule::Margin | PairRule::All => self.add_all(state, siblings, |_, _| true),
            PairRule::BestWorst => self.add_extremes(state, siblings, |_, _| true),
            PairRule::FirstError => self.add_first_errors(state, siblings),
        }
    }

    fn q(&self, id: NodeId) -> f64 {
        self.tree.node(id).q()
    }

    fn add(&mut self, state: NodeId, chosen: NodeId, rejected: NodeId) {
        let margin = self.q(chosen) - self.q(rejected);
        if margin > 0.0 && margin >= self.rules.min_margin {
            self.pairs.push(Pair { state, chosen, rejected });
        }
    }

    fn add_all(&mut self, state: NodeId, siblings: &[NodeId], fits: fn(f64, f64) -> bool) {
        for &chosen in siblings {
            for &rejected in siblings {
                if fits(self.q(chosen), self.q(rejected)) {
                    self.add(state, chosen, rejected);
                }
            }
        }
    }

    fn add_extremes(&mut self, state: NodeId, siblings: &[NodeId], fits: fn(f64, f64) -> bool) {
        if let (Some(best), Some(worst)) = (self.best(siblings), self.worst(siblings))
            && fits(self.q(best), self.q(worst))
        {
            self.add(state, best, worst);
        }
    }

    fn add_first_errors(&mut self, state: NodeId, siblings: &[NodeId]) {
        let (right, lost): (Vec<NodeId>, Vec<NodeId>) =
            siblings.iter().partition(|&&id| self.outcomes.correct(id).is_some());
        let Some(best) = self.best(&right) else { return };
        for rejected in lost {
            if self.outcomes.wrong(rejected).is_some() {
                self.add(state, best, rejected);
            }
        }
    }

    /// The sibling with the highest Q, the first of equals.
    fn best(&self, siblings: &[NodeId]) -> Option<NodeId> {
        siblings.iter().copied().reduce(|best, id| if self.q(id) > self.q(best) { id } else { best })
    }

    /// The sibling with the lowest Q, the first of equals.
    fn worst(&self, siblings: &[NodeId]) -> Option<NodeId> {
        siblings.iter().copied().reduce(|worst, id| if self.q(id) < self.q(worst) { id } else { worst })
    }
}

/// Keeps the first of the pairs that read alike, and no pair whose two steps do.
fn drop_repeated(tree: &Tree, pairs: &mut Vec<Pair>) {
    // Each node's representative: the first node whose whole path reads the same, white space aside.
    let mut first_with = HashMap::new();
    let mut same: Vec<u32> = Vec::with_capacity(tree.len());
    for id in tree.ids() {
        let before = tree.parent(id).map_or(u32::MAX, |parent| same[parent.0 as usize]);
        let words: String = tree.text(id).split_whitespace().collect();
        same.push(*first_with.entry((before, words)).or_insert(id.0));
    }
    let same = |id: NodeId| same[id.0 as usize];
    let mut seen = HashSet::new();
    pairs.retain(|pair| {
        let (chosen, rejected) = (same(pair.chosen), same(pair.rejected));
        chosen != rejected && seen.insert((chosen, rejected))
    });
}
