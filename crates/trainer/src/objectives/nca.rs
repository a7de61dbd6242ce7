//! NCA.

use super::numerics::neg_log_sigmoid;
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// Noise contrastive alignment for pairs (arXiv:2402.05369): keeps the chosen step's likelihood from falling.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nca {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for Nca {
    fn default() -> Self {
        Nca { beta: 0.1 }
    }
}

impl PairObjective for Nca {
    const ABOUT: About = About {
        name: "nca",
        formula: "-ls(beta r_w) - 0.5 ls(-beta r_w) - 0.5 ls(-beta r_l)",
        source: "NCA, arXiv:2402.05369",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let (w, l) = (x.r_w() * self.beta, x.r_l() * self.beta);
        let losses = neg_log_sigmoid(&w) + (neg_log_sigmoid(&-&w) + neg_log_sigmoid(&-&l)) * 0.5;
        PairOutput::new(losses, &w, &l)
    }
}
