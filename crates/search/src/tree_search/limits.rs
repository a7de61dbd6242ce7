//! When a tree is finished: its budgets, and what it found.

use super::growth::Growth;
use crate::config::Converged;
use crate::error::SearchError;
use crate::summary::{SearchWork, Stop};
use espalier_tree::NodeId;
use std::time::Instant;

/// What one tree has used and found so far.
pub(crate) struct Limits {
    /// Why nothing more is to be asked.
    pub(crate) stop: Option<Stop>,
    pub(crate) work: SearchWork,
    began: Instant,
    pub(super) correct_solutions: u32,
    /// The root's Q at the last look for convergence, and whether it had settled by then.
    last_look: Option<f64>,
    pub(super) has_settled: bool,
    /// Bytes of text and tokens in the tree.
    text_bytes: u64,
    pub(super) tokens: u64,
}

impl Limits {
    /// The limits of a tree that begins now.
    pub(super) fn new() -> Limits {
        Limits {
            stop: None,
            work: SearchWork::default(),
            began: Instant::now(),
            correct_solutions: 0,
            last_look: None,
            has_settled: false,
            text_bytes: 0,
            tokens: 0,
        }
    }

    /// Counts text and tokens that are added to the tree, whose pools are addressed by 32 bits.
    #[inline]
    pub(super) fn grow(&mut self, text_bytes: u64, tokens: u64) -> Result<(), SearchError> {
        let (text_bytes, tokens) = (self.text_bytes + text_bytes, self.tokens + tokens);
        if text_bytes.max(tokens) > u64::from(u32::MAX) {
            return Err(SearchError::TooLarge);
        }
        (self.text_bytes, self.tokens) = (text_bytes, tokens);
        Ok(())
    }
}

impl Growth {
    /// Counts a simulation that has come to its end.
    #[inline]
    pub(crate) fn end_simulation(&mut self) {
        let limits = &mut self.limits;
        limits.work.simulations += 1;
        if let Some(Converged { window, tolerance }) = self.config.stop_when.converged
            && limits.work.simulations.is_multiple_of(u64::from(window))
        {
            let q = self.tree.node(NodeId::ROOT).q();
            limits.has_settled = limits.last_look.is_some_and(|before| (q - before).abs() <= tolerance);
            limits.last_look = Some(q);
        }
    }

    /// Why no further simulation is to begin, if there is a reason: after `simulations` of them, where that is the size
    /// of the search.
    pub(crate) fn reason_to_stop(&self, simulations: Option<u64>) -> Option<Stop> {
        let (rules, limits) = (&self.config.stop_when, &self.limits);
        if self.tree.node(NodeId::ROOT).ending.is_terminal() {
            Some(Stop::Exhausted)
        } else if simulations.is_some_and(|most| limits.work.simulations >= most) {
            Some(Stop::Simulations)
        } else if rules.correct_solutions.is_some_and(|enough| limits.correct_solutions >= enough) {
            Some(Stop::Solved)
        } else if rules.sampled_tokens.is_some_and(|enough| limits.work.sampled_tokens >= enough) {
            Some(Stop::Tokens)
        } else if rules.wall_s.is_some_and(|enough| limits.began.elapsed().as_secs_f64() >= enough) {
            Some(Stop::WallTime)
        } else if limits.has_settled {
            Some(Stop::Converged)
        } else {
            None
        }
    }
}
