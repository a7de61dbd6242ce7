//! DPO smoothed by visit counts.

use super::numerics::neg_log_sigmoid;
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// MCTS-DPO (arXiv:2405.00451): the less often the search chose w over l, the smoother the label.
///
/// `e = min(1/2, N_l / (max(1, N_w) + N_l))`, capped as in the authors' program: a pair whose worse step was visited more
/// often says nothing then, where it would be turned round without the cap.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MctsDpo {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for MctsDpo {
    fn default() -> Self {
        MctsDpo { beta: 0.1 }
    }
}

impl PairObjective for MctsDpo {
    const ABOUT: About = About {
        name: "mcts_dpo",
        formula: "-(1-e) ls(beta h) - e ls(-beta h), e = min(1/2, N_l / (max(1, N_w) + N_l))",
        source: "MCTS-DPO, arXiv:2405.00451 and its program",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let z = x.h() * self.beta;
        let e = (&x.n_l / (x.n_w.clamp_min(1.0) + &x.n_l)).clamp_max(0.5);
        let losses = neg_log_sigmoid(&z) * (1.0 - &e) + neg_log_sigmoid(&-z) * &e;
        PairOutput::with_log_ratios(losses, x, self.beta)
    }
}
