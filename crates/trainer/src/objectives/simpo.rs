//! `SimPO`.

use super::numerics::neg_log_sigmoid;
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// Simple preference optimisation (arXiv:2405.14734): the mean token log-probability is the reward; no reference.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Simpo {
    /// Scale of the mean log-probabilities.
    pub beta: f64,
    /// The target margin between the two rewards.
    pub gamma: f64,
}

impl Default for Simpo {
    fn default() -> Self {
        Simpo { beta: 2.0, gamma: 1.0 }
    }
}

impl PairObjective for Simpo {
    const ABOUT: About = About {
        name: "simpo",
        formula: "-ls(beta (lp_w/len_w - lp_l/len_l) - gamma)",
        source: "SimPO, arXiv:2405.14734",
        uses_reference: false,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)?;
        BadParameter::unless_not_negative("gamma", self.gamma)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let (w, l) = (x.mean_lp_w() * self.beta, x.mean_lp_l() * self.beta);
        PairOutput::new(neg_log_sigmoid(&(&w - &l - self.gamma)), &w, &l)
    }
}
