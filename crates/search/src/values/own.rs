//! The policy asked whether its own last step is right.

use super::{State, ValueError, Valued};
use crate::policy::{Policy, PolicyError};
use crate::request::{Expansion, StepRequest, Stops, Unit};
use crate::wishes::{Report, Told, Wishes};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// What the tickets of questions about states have beyond the search's own, and the names of their trees: so that an error says
/// whose it is.
const OWN: u64 = 1 << 63;
/// Likeliest tokens among which the two answers are looked for; servers of vLLM list so many of themselves.
const ALTERNATIVES: usize = 20;
/// Steps after which confidence begins to count less.
const TRUSTED_DEPTH: usize = 3;

/// The tree whose states the requests of a tree are about, where those are questions beside the search: what was kept for the one
/// serves the other.
pub fn asked_beside(tree: u64) -> Option<u64> {
    (tree & OWN != 0).then_some(tree & !OWN)
}

/// A question behind a state whose answer is one of two words: V = (P(yes) - P(no)) / (P(yes) + P(no)) / max(depth - 3, 1), 0 at a
/// prompt and where neither word is among the likeliest. Self-evaluation as in MCTS-DPO (Xie et al. 2024, arXiv:2405.00451), whose
/// value is P(yes) / max(depth - 3, 1) in [0, 1]; here it has the range of all values.
#[derive(Clone, Debug)]
pub struct OwnQuestion {
    /// The question's tokens.
    ids: Vec<u32>,
    yes: HashSet<u32>,
    no: HashSet<u32>,
    /// What is asked, by its ticket: the state's tree and depth.
    asked: HashMap<u64, (u64, usize)>,
    told: HashMap<u64, Told>,
    /// Trees that ended while a question about them was pending.
    ended: HashSet<u64>,
}

impl OwnQuestion {
    /// A question in tokens, and the tokens that begin its two answers.
    pub fn new(ids: Vec<u32>, yes: HashSet<u32>, no: HashSet<u32>) -> OwnQuestion {
        OwnQuestion { ids, yes, no, asked: HashMap::new(), told: HashMap::new(), ended: HashSet::new() }
    }

    /// Questions that are not answered yet.
    pub(super) fn pending(&self) -> usize {
        self.asked.len()
    }

    /// Asks about a state; its value, if that is known already.
    pub(super) fn ask(&mut self, state: &State, policy: &mut impl Policy) -> Option<Valued> {
        if state.depth() == 0 {
            return Some((state.ticket, Ok(0.0)));
        }
        let ids = [&state.prefix_ids[..], &self.ids].concat();
        let tree = state.tree | OWN;
        let request = StepRequest {
            ticket: state.ticket | OWN,
            tree,
            step_ends: vec![ids.len() as u32].into(),
            prefix_ids: ids.into(),
            k: 1,
            max_tokens: 1,
            unit: Unit::Path,
            stops: Cow::Owned(Stops::default()),
            temperature: 0.0,
            seed: 0,
            want_value: false,
        };
        match policy.submit_with(request, &Wishes { alternatives: ALTERNATIVES, ..Wishes::default() }) {
            Ok(()) => {
                self.asked.insert(state.ticket | OWN, (tree, state.depth()));
                None
            }
            Err(error) if error.tree() == Some(tree) => Some((state.ticket, Err(ValueError::State(error.reason())))),
            Err(error) => Some((state.ticket, Err(ValueError::Source(error.reason())))),
        }
    }

    /// Takes what is told of an answer to the question; gives back all else.
    pub(super) fn take_report(&mut self, report: Report) -> Option<Report> {
        if report.ticket & OWN == 0 {
            return Some(report);
        }
        if let (Some(0), 0, Some(first)) = (report.candidate, report.first, report.tokens.into_iter().next()) {
            self.told.insert(report.ticket, first);
        }
        None
    }

    /// The value that an answer to a question is; `Err` gives back what is none.
    pub(super) fn take_answer(&mut self, answer: Expansion, policy: &mut impl Policy) -> Result<Valued, Expansion> {
        let Some((tree, depth)) = self.asked.remove(&answer.ticket) else { return Err(answer) };
        let told = self.told.remove(&answer.ticket);
        let value = match told {
            None => Err("the policy's context leaves no room for a question about its step"),
            Some(told) if told.alternatives.is_empty() => Err("the policy lists no other tokens than the drawn ones"),
            Some(told) => Ok(self.value(&told, depth)),
        };
        self.end(tree, policy);
        Ok((answer.ticket & !OWN, value.map_err(|reason| ValueError::State(reason.to_owned()))))
    }

    /// The question whose error this is; `Err` gives back what is none.
    pub(super) fn take_error(&mut self, error: PolicyError, policy: &mut impl Policy) -> Result<Valued, PolicyError> {
        let Some(tree) = error.tree().filter(|tree| tree & OWN != 0) else { return Err(error) };
        // Which of the tree's questions it was nobody knows, and none is needed: the tree is given up.
        let Some(ticket) = self.asked.iter().find(|(_, (of, _))| *of == tree).map(|(&ticket, _)| ticket) else {
            return Err(error);
        };
        self.asked.remove(&ticket);
        self.end(tree, policy);
        Ok((ticket & !OWN, Err(ValueError::State(error.reason()))))
    }

    /// A tree of the search has ended.
    pub(super) fn forget(&mut self, tree: u64, policy: &mut impl Policy) {
        self.ended.insert(tree | OWN);
        self.end(tree | OWN, policy);
    }

    /// Drops what the policy keeps for the questions of a tree that has ended, once none is pending.
    fn end(&mut self, tree: u64, policy: &mut impl Policy) {
        if self.ended.contains(&tree) && self.asked.values().all(|(of, _)| *of != tree) {
            self.ended.remove(&tree);
            policy.forget(tree);
        }
    }

    fn value(&self, told: &Told, depth: usize) -> f32 {
        let of = |words: &HashSet<u32>| {
            let listed = told.alternatives.iter().filter(|(id, _)| words.contains(id));
            listed.map(|&(_, logprob)| f64::from(logprob).exp()).sum::<f64>()
        };
        let (yes, no) = (of(&self.yes), of(&self.no));
        let trust = depth.saturating_sub(TRUSTED_DEPTH).max(1) as f64;
        if yes + no > 0.0 { ((yes - no) / (yes + no) / trust) as f32 } else { 0.0 }
    }
}
