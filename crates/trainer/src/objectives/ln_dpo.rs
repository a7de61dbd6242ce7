//! Length-normalised DPO.

use super::numerics::neg_log_sigmoid;
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// LN-DPO of the "Hitchhiker's Guide to *PO" (arXiv:2407.15229): DPO on log-ratios per token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LnDpo {
    /// Scale of the mean log-ratios.
    pub beta: f64,
}

impl Default for LnDpo {
    fn default() -> Self {
        LnDpo { beta: 2.0 }
    }
}

impl PairObjective for LnDpo {
    const ABOUT: About = About {
        name: "ln_dpo",
        formula: "-ls(beta (r_w/len_w - r_l/len_l))",
        source: "The Hitchhiker's Guide to *PO, arXiv:2407.15229",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let (w, l) = (x.r_w() / &x.len_w * self.beta, x.r_l() / &x.len_l * self.beta);
        PairOutput::new(neg_log_sigmoid(&(&w - &l)), &w, &l)
    }
}
