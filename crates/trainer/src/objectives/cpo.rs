//! CPO.

use super::numerics::neg_log_sigmoid;
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// Contrastive preference optimisation (arXiv:2401.08417): DPO with a uniform reference plus a likelihood term.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpo {
    /// Scale of the log-probabilities.
    pub beta: f64,
    /// Weight of the likelihood of the chosen step, per token.
    pub sft_weight: f64,
}

impl Default for Cpo {
    fn default() -> Self {
        Cpo { beta: 0.1, sft_weight: 1.0 }
    }
}

impl PairObjective for Cpo {
    const ABOUT: About = About {
        name: "cpo",
        formula: "-ls(beta (lp_w - lp_l)) - sft_weight lp_w/len_w",
        source: "CPO, arXiv:2401.08417",
        uses_reference: false,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)?;
        BadParameter::unless_not_negative("sft_weight", self.sft_weight)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let (w, l) = (&x.lp_w * self.beta, &x.lp_l * self.beta);
        PairOutput::new(neg_log_sigmoid(&(&w - &l)) - x.mean_lp_w() * self.sft_weight, &w, &l)
    }
}
