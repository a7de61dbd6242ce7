//! When a tree is finished: its budgets, and what it found.

use super::TreeSearch;
use crate::config::Converged;
use crate::summary::Stop;
use espalier_tree::NodeId;

impl TreeSearch {
    pub(super) fn end_simulation(&mut self) {
        self.work.simulations += 1;
        if let Some(Converged { window, tolerance }) = self.config.stop_when.converged
            && self.work.simulations.is_multiple_of(u64::from(window))
        {
            let q = self.tree.node(NodeId::ROOT).q();
            self.has_settled = self.last_look.is_some_and(|before| (q - before).abs() <= tolerance);
            self.last_look = Some(q);
        }
    }

    /// Why no further simulation is to begin, if there is a reason.
    pub(super) fn reason_to_stop(&self) -> Option<Stop> {
        let rules = &self.config.stop_when;
        if self.tree.node(NodeId::ROOT).ending.is_terminal() {
            Some(Stop::Exhausted)
        } else if self.work.simulations >= self.most_simulations() {
            Some(Stop::Simulations)
        } else if rules.correct_solutions.is_some_and(|enough| self.correct_solutions >= enough) {
            Some(Stop::Solved)
        } else if rules.sampled_tokens.is_some_and(|enough| self.work.sampled_tokens >= enough) {
            Some(Stop::Tokens)
        } else if rules.wall_s.is_some_and(|enough| self.began.elapsed().as_secs_f64() >= enough) {
            Some(Stop::WallTime)
        } else if self.has_settled {
            Some(Stop::Converged)
        } else {
            None
        }
    }

    /// Best-of-n and beam search have their own size.
    fn most_simulations(&self) -> u64 {
        use crate::config::Strategy::{Beam, BestFirst, BestOfN, Mcts};
        match self.config.strategy {
            Mcts | BestFirst => u64::from(self.config.simulations),
            BestOfN { .. } | Beam { .. } => u64::MAX,
        }
    }
}
