//! Self-play preference optimisation.

use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// SPPO (arXiv:2405.00675) where the chosen step always wins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SppoHard {
    /// 1 / eta of the paper.
    pub beta: f64,
}

impl Default for SppoHard {
    fn default() -> Self {
        SppoHard { beta: 0.1 }
    }
}

impl PairObjective for SppoHard {
    const ABOUT: About = About {
        name: "sppo_hard",
        formula: "(r_w - 1/(2 beta))^2 + (r_l + 1/(2 beta))^2",
        source: "SPPO, arXiv:2405.00675",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let half = x.lp_w.full_like(0.5);
        PairOutput::with_log_ratios(squares(x, &half, self.beta), x, self.beta)
    }
}

/// SPPO where the chosen step wins with the probability that the tree gives it.
///
/// Q in [-1, 1] is the mean of outcomes of +1 and -1, so a path through w is correct with probability
/// `p_w = (1 + Q_w) / 2`. Let one path be drawn through each step, the correct one win, and a coin decide when both are
/// correct or both wrong; then `P(w beats l) = 1/2 + (p_w - p_l) / 2 = 1/2 + (Q_w - Q_l) / 4`. The paper takes P from a
/// pair-ranking model instead.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SppoSoft {
    /// 1 / eta of the paper.
    pub beta: f64,
}

impl Default for SppoSoft {
    fn default() -> Self {
        SppoSoft { beta: 0.1 }
    }
}

impl PairObjective for SppoSoft {
    const ABOUT: About = About {
        name: "sppo_soft",
        formula: "(r_w - p/beta)^2 + (r_l + p/beta)^2, p = P(w beats l) - 1/2 = (Q_w - Q_l)/4",
        source: "SPPO, arXiv:2405.00675, with P from Q",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let excess = (&x.q_w - &x.q_l) / 4.0;
        PairOutput::with_log_ratios(squares(x, &excess, self.beta), x, self.beta)
    }
}

/// `(r_w - p/beta)^2 + (r_l + p/beta)^2` with `p = P(w beats l) - 1/2`, `[B]`.
fn squares(x: &PairInputs, excess: &Tensor, beta: f64) -> Tensor {
    let target = excess / beta;
    (x.r_w() - &target).square() + (x.r_l() + &target).square()
}
