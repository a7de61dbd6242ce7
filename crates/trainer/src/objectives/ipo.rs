//! IPO.

use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// Identity preference optimisation (arXiv:2310.12036), with log-ratios averaged over tokens as its authors advise and
/// TRL does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ipo {
    /// tau of the paper; the target of the margin is 1 / (2 beta).
    pub beta: f64,
}

impl Default for Ipo {
    fn default() -> Self {
        Ipo { beta: 0.1 }
    }
}

impl PairObjective for Ipo {
    const ABOUT: About = About {
        name: "ipo",
        formula: "(r_w/len_w - r_l/len_l - 1/(2 beta))^2",
        source: "IPO, arXiv:2310.12036",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let margin = x.r_w() / &x.len_w - x.r_l() / &x.len_l;
        PairOutput::with_log_ratios((margin - 0.5 / self.beta).square(), x, self.beta)
    }
}
