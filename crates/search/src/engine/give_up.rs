//! Problems that fail by themselves: their trees are given up, and the search goes on.

use super::{Engine, SearchEvent};
use crate::error::SearchError;
use crate::policy::Policy;
use crate::summary::Skipped;
use crate::tree_search::TreeSearch;
use std::time::Instant;

impl<P, J, I, F> Engine<'_, P, J, I, F>
where
    P: Policy + ?Sized,
    J: ?Sized,
    F: FnMut(SearchEvent<'_>) -> Result<(), SearchError>,
{
    /// Gives a tree up. Of its pending requests the policy has given up `lost`; the slot waits for the answers to the
    /// others.
    pub(super) fn give_up(
        &mut self,
        place: usize,
        tree: Box<TreeSearch>,
        lost: usize,
        reason: String,
    ) -> Result<(), SearchError> {
        let index = tree.index();
        let abandoned = tree.pending().saturating_sub(lost);
        self.slots.abandon(place, index, abandoned);
        if abandoned == 0 {
            self.policy.forget(index);
        }
        self.skip(index, tree.into_tree().info.problem_id, reason)
    }

    /// One request less is pending of the tree that was given up here.
    pub(super) fn lose_one(&mut self, place: usize) {
        if let Some(index) = self.slots.lose_one(place) {
            self.policy.forget(index);
        }
    }

    /// Reports a problem that has no tree.
    pub(super) fn skip(&mut self, index: u64, problem_id: String, reason: String) -> Result<(), SearchError> {
        tracing::warn!(index, problem_id, reason, "skipped a problem");
        let skipped = Skipped { index, problem_id, reason };
        let began = Instant::now();
        let stored = (self.on_event)(SearchEvent::Skipped(&skipped));
        self.summary.store_s += began.elapsed().as_secs_f64();
        self.summary.skipped.push(skipped);
        stored
    }
}
