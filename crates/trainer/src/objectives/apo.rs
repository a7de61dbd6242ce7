//! Anchored preference optimisation (arXiv:2408.06266); no relation to Step-APO.

use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// APO-zero: the chosen step up, the rejected step down. For chosen steps that are better than the policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApoZero {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for ApoZero {
    fn default() -> Self {
        ApoZero { beta: 0.1 }
    }
}

impl PairObjective for ApoZero {
    const ABOUT: About = About {
        name: "apo_zero",
        formula: "1 - sigmoid(beta r_w) + sigmoid(beta r_l)",
        source: "APO, arXiv:2408.06266",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let losses = 1.0 - (x.r_w() * self.beta).sigmoid() + (x.r_l() * self.beta).sigmoid();
        PairOutput::with_log_ratios(losses, x, self.beta)
    }
}

/// APO-down: both steps down, the rejected one further. For chosen steps that are worse than the policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApoDown {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for ApoDown {
    fn default() -> Self {
        ApoDown { beta: 0.1 }
    }
}

impl PairObjective for ApoDown {
    const ABOUT: About = About {
        name: "apo_down",
        formula: "sigmoid(beta r_w) + 1 - sigmoid(beta h)",
        source: "APO, arXiv:2408.06266",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let losses = (x.r_w() * self.beta).sigmoid() + 1.0 - (x.h() * self.beta).sigmoid();
        PairOutput::with_log_ratios(losses, x, self.beta)
    }
}
