//! Hinge losses.

use super::numerics::positive_part;
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// The hinge on DPO's margin, as in RSO (arXiv:2309.06657).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hinge {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for Hinge {
    fn default() -> Self {
        Hinge { beta: 0.1 }
    }
}

impl PairObjective for Hinge {
    const ABOUT: About =
        About { name: "hinge", formula: "max(0, 1 - beta h)", source: "RSO, arXiv:2309.06657", uses_reference: true };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        PairOutput::with_log_ratios(positive_part(&(1.0 - x.h() * self.beta)), x, self.beta)
    }
}

/// SLiC-HF (arXiv:2305.10425): a hinge on the log-probabilities themselves. Its regularising likelihood term is the
/// trainer's `sft_weight`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slic {
    /// The margin, in nats.
    pub delta: f64,
}

impl Default for Slic {
    fn default() -> Self {
        Slic { delta: 1.0 }
    }
}

impl PairObjective for Slic {
    const ABOUT: About = About {
        name: "slic",
        formula: "max(0, delta - lp_w + lp_l)",
        source: "SLiC-HF, arXiv:2305.10425",
        uses_reference: false,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_not_negative("delta", self.delta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        PairOutput::new(positive_part(&(self.delta - &x.lp_w + &x.lp_l)), &x.lp_w, &x.lp_l)
    }
}
