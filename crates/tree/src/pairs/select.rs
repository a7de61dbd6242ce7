//! Selection: which siblings of a tree make a pair.

use super::pair::State;
use super::{PairRule, PairRules, StepPair};
use crate::arena::{Ending, Kind, Node, NodeId, PASSES, Tree};
use crate::draw::{Purpose, sample};
use crate::outcome::{Outcomes, rewards_to_go};
use std::collections::{HashMap, HashSet};

/// The pairs of a tree under the rules, by rising state, then by kind, then in the order in which the steps were sampled.
pub fn select_pairs(tree: &Tree, rules: &PairRules) -> Vec<StepPair> {
    let mut state: Option<(NodeId, State)> = None;
    let mut pair_of = |&Pair { state: id, chosen, rejected }: &Pair| {
        let known = state.take().filter(|(at, _)| *at == id).unwrap_or_else(|| (id, State::of(tree, id)));
        state.insert(known).1.pair(tree, chosen, rejected)
    };
    selected(tree, rules).iter().map(&mut pair_of).collect()
}

/// The nodes of the pairs that [`select_pairs`] gives.
pub(super) fn selected(tree: &Tree, rules: &PairRules) -> Vec<Pair> {
    let to_go = if rules.rule == PairRule::RewardToGo { rewards_to_go(tree) } else { Vec::new() };
    let mut found = Found { tree, rules, outcomes: Outcomes::of(tree), to_go, pairs: Vec::new() };
    let mut siblings = Vec::new();
    let states = if rules.rule == PairRule::MctsDpo { best_path(tree, rules) } else { tree.ids().collect() };
    for state in states {
        for kind in Kind::STEPS {
            usable_children(tree, state, kind, rules, &mut siblings);
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
    pairs
}

/// The children of one kind that may be in a pair.
pub(super) fn usable_children(tree: &Tree, state: NodeId, kind: Kind, rules: &PairRules, siblings: &mut Vec<NodeId>) {
    siblings.clear();
    siblings.extend(tree.node(state).children().filter(|&id| {
        let node = tree.node(id);
        node.kind == kind && node.visits >= rules.min_visits && is_usable(node)
    }));
}

/// The states from the root down along the children with the highest Q, the first of equals.
fn best_path(tree: &Tree, rules: &PairRules) -> Vec<NodeId> {
    let mut siblings = Vec::new();
    let mut best_child = |at: NodeId| {
        let kinds = Kind::STEPS.into_iter().flat_map(|kind| {
            usable_children(tree, at, kind, rules, &mut siblings);
            siblings.clone()
        });
        kinds.reduce(|best, id| if tree.node(id).q() > tree.node(best).q() { id } else { best })
    };
    std::iter::successors(Some(NodeId::ROOT), |&at| best_child(at)).collect()
}

/// Texts that are no step, steps that were not to be, and solutions of which nobody knows what they are worth teach nothing
/// about the plan.
pub(super) fn is_usable(node: &Node) -> bool {
    !matches!(node.ending, Ending::Malformed | Ending::TooDeep | Ending::Length | Ending::Unverified)
}

/// Two steps after one state.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub state: NodeId,
    pub chosen: NodeId,
    pub rejected: NodeId,
}

struct Found<'a> {
    tree: &'a Tree,
    rules: &'a PairRules,
    outcomes: Outcomes,
    /// By node, under the rule that needs it.
    to_go: Vec<f64>,
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
            PairRule::BestWorst | PairRule::MctsDpo => self.add_extremes(state, siblings, |_, _| true),
            PairRule::RewardToGo => self.add_by_reward_to_go(state, siblings),
            PairRule::Ranked => {
                let ranking = ranking(self.tree, siblings);
                ranking.windows(2).for_each(|pair| self.add(state, pair[0], pair[1]));
            }
            PairRule::FirstError => self.add_first_errors(state, siblings),
            PairRule::Constrained => self.add_constrained(state, siblings),
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

    /// The margin is that of the rewards; a pair against the search's own Q is none.
    fn add_by_reward_to_go(&mut self, state: NodeId, siblings: &[NodeId]) {
        for &chosen in siblings {
            for &rejected in siblings {
                let margin = self.to_go[chosen.0 as usize] - self.to_go[rejected.0 as usize];
                if margin > 0.0 && margin >= self.rules.min_margin && self.q(chosen) > self.q(rejected) {
                    self.pairs.push(Pair { state, chosen, rejected });
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

    fn add_constrained(&mut self, state: NodeId, siblings: &[NodeId]) {
        let (passed, failed): (Vec<NodeId>, Vec<NodeId>) = siblings.iter().partition(|&&id| self.passes(id));
        let worst = self.worst(if failed.is_empty() { &passed } else { &failed });
        if let (Some(best), Some(worst)) = (self.best(&passed), worst) {
            self.add(state, best, worst);
        }
    }

    /// Whether no judge that is asked speaks against a step.
    fn passes(&self, id: NodeId) -> bool {
        let is_asked = |name: &String| self.rules.judges.is_empty() || self.rules.judges.contains(name);
        let scores = self.tree.judges().iter().zip(self.tree.scores(id));
        scores.filter(|(name, _)| is_asked(name)).all(|(_, &score)| score.is_nan() || score >= PASSES)
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

/// Siblings by falling Q; equals stay in the order in which they were sampled.
pub(super) fn ranking(tree: &Tree, siblings: &[NodeId]) -> Vec<NodeId> {
    let mut ranking = siblings.to_vec();
    ranking.sort_by(|&a, &b| tree.node(b).q().total_cmp(&tree.node(a).q()));
    ranking
}

/// A text without the white space that says nothing: what parts two words or numbers stays, as one space.
fn read(text: &str) -> String {
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | ',');
    let mut read = String::with_capacity(text.len());
    for part in text.split_whitespace() {
        if read.ends_with(is_of_word) && part.starts_with(is_of_word) {
            read.push(' ');
        }
        read.push_str(part);
    }
    read
}

/// Keeps the first of the pairs that read alike, and no pair whose two steps do.
fn drop_repeated(tree: &Tree, pairs: &mut Vec<Pair>) {
    // Each node's representative: the first node whose whole path reads the same, white space aside.
    let mut first_with = HashMap::new();
    let mut same: Vec<u32> = Vec::with_capacity(tree.len());
    for id in tree.ids() {
        let before = tree.parent(id).map_or(u32::MAX, |parent| same[parent.0 as usize]);
        same.push(*first_with.entry((before, read(tree.text(id)))).or_insert(id.0));
    }
    let same = |id: NodeId| same[id.0 as usize];
    let mut seen = HashSet::new();
    pairs.retain(|pair| {
        let (chosen, rejected) = (same(pair.chosen), same(pair.rejected));
        chosen != rejected && seen.insert((chosen, rejected))
    });
}
