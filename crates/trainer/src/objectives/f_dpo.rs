//! f-DPO (arXiv:2309.16240): DPO whose divergence from the reference is not the reverse KL.
//!
//! The exponentials of log-ratios are continued by their tangents beyond e^50.

use super::numerics::{exp_tame, neg_log_sigmoid};
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// The forward KL divergence.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FDpoForwardKl {
    /// Scale of the margin.
    pub beta: f64,
}

impl Default for FDpoForwardKl {
    fn default() -> Self {
        FDpoForwardKl { beta: 0.1 }
    }
}

impl PairObjective for FDpoForwardKl {
    const ABOUT: About = About {
        name: "f_dpo_forward_kl",
        formula: "-ls(beta (-e^{-r_w} + e^{-r_l}))",
        source: "f-DPO, arXiv:2309.16240",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let margin = exp_tame(&-x.r_l()) - exp_tame(&-x.r_w());
        PairOutput::with_log_ratios(neg_log_sigmoid(&(margin * self.beta)), x, self.beta)
    }
}

/// The Jensen-Shannon divergence.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FDpoJs {
    /// Scale of the margin.
    pub beta: f64,
}

impl Default for FDpoJs {
    fn default() -> Self {
        FDpoJs { beta: 0.1 }
    }
}

impl PairObjective for FDpoJs {
    const ABOUT: About = About {
        name: "f_dpo_js",
        formula: "-ls(beta (ls(r_w) - ls(r_l)))",
        source: "f-DPO, arXiv:2309.16240",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let margin = x.r_w().log_sigmoid() - x.r_l().log_sigmoid();
        PairOutput::with_log_ratios(neg_log_sigmoid(&(margin * self.beta)), x, self.beta)
    }
}

/// The alpha divergence; a -> 0 is DPO, a = 1 the forward KL.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FDpoAlpha {
    /// Scale of the margin.
    pub beta: f64,
    /// a, the order of the divergence.
    pub divergence_alpha: f64,
}

impl Default for FDpoAlpha {
    fn default() -> Self {
        FDpoAlpha { beta: 0.1, divergence_alpha: 0.5 }
    }
}

impl PairObjective for FDpoAlpha {
    const ABOUT: About = About {
        name: "f_dpo_alpha",
        formula: "-ls(beta ((1 - e^{-a r_w}) - (1 - e^{-a r_l})) / a), a = divergence_alpha",
        source: "f-DPO, arXiv:2309.16240",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)?;
        BadParameter::unless_positive("divergence_alpha", self.divergence_alpha)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let a = self.divergence_alpha;
        let margin = (exp_tame(&(x.r_l() * -a)) - exp_tame(&(x.r_w() * -a))) / a;
        PairOutput::with_log_ratios(neg_log_sigmoid(&(margin * self.beta)), x, self.beta)
    }
}
