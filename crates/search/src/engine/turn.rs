//! Trees with their answers, taken out of their slots so that they can be worked on in parallel.

use crate::error::SearchError;
use crate::judge::Judge;
use crate::policy::Policy;
use crate::request::Expansion;
use crate::summary::SearchWork;
use crate::tree_search::TreeSearch;
use rayon::prelude::*;

/// Turns that are worked on before their trees' next requests are sent.
pub(super) const GROUP: usize = 16;

/// One tree with its answers.
pub(super) struct Turn {
    pub(super) place: usize,
    pub(super) tree: Box<TreeSearch>,
    pub(super) work: SearchWork,
    pub(super) outcome: Result<(), SearchError>,
    first: Expansion,
    /// Mostly none.
    more: Vec<Expansion>,
}

impl Turn {
    pub(super) fn new(place: usize, tree: Box<TreeSearch>, answer: Expansion) -> Turn {
        Turn { place, tree, work: SearchWork::default(), outcome: Ok(()), first: answer, more: Vec::new() }
    }

    /// Adds one more answer. False if the tree does not wait for it, or has it already.
    pub(super) fn add(&mut self, answer: Expansion) -> bool {
        let has = self.first.ticket == answer.ticket || self.more.iter().any(|more| more.ticket == answer.ticket);
        let is_awaited = !has && self.tree.awaits(answer.ticket);
        if is_awaited {
            self.more.push(answer);
        }
        is_awaited
    }

    pub(super) fn answer(&mut self, judge: &(impl Judge + ?Sized)) {
        let before = self.tree.work();
        self.outcome = self.tree.answer(&self.first, judge);
        for answer in &self.more {
            if self.outcome.is_ok() {
                self.outcome = self.tree.answer(answer, judge);
            }
        }
        if self.outcome.is_ok() {
            self.tree.plan_ahead();
        }
        self.work = self.tree.work().since(before);
    }

    /// What is left when the turn is over, its answers given back.
    pub(super) fn end(
        self,
        policy: &mut (impl Policy + ?Sized),
    ) -> (usize, Box<TreeSearch>, SearchWork, Result<(), SearchError>) {
        policy.reclaim(self.first);
        self.more.into_iter().for_each(|answer| policy.reclaim(answer));
        (self.place, self.tree, self.work, self.outcome)
    }
}

/// Works on one group. The selection belongs to it, so that threads share that too.
pub(super) fn run_group(turns: &mut [Turn], judge: &(impl Judge + ?Sized)) {
    turns.iter_mut().for_each(|turn| turn.answer(judge));
}

/// Works on several groups, on all threads.
pub(super) fn run_groups(turns: &mut [Turn], judge: &(impl Judge + ?Sized)) {
    turns.par_chunks_mut(GROUP).for_each(|group| run_group(group, judge));
}
