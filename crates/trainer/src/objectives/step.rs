//! The losses of step-level preference learning.

use super::numerics::{neg_log_sigmoid, smooth};
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// Step-APO, the loss of CPL (arXiv:2409.08642): DPO whose margin is the difference of the siblings' advantages, which
/// equals the difference of their Q since they share the state's value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepApo {
    /// Scale of the log-ratios.
    pub beta: f64,
    /// Scale of the advantage margin; 0 is Step-DPO.
    pub alpha: f64,
    /// Probability that a pair is the wrong way round.
    pub label_smoothing: f64,
}

impl Default for StepApo {
    fn default() -> Self {
        StepApo { beta: 0.3, alpha: 1.0, label_smoothing: 0.0 }
    }
}

impl PairObjective for StepApo {
    const ABOUT: About = About {
        name: "step_apo",
        formula: "smooth(beta h - alpha (Q_w - Q_l)), smooth(z) = -(1-e) ls(z) - e ls(-z), e = label_smoothing",
        source: "CPL, arXiv:2409.08642",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)?;
        BadParameter::unless_not_negative("alpha", self.alpha)?;
        BadParameter::unless_smoothing("label_smoothing", self.label_smoothing)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let z = x.h() * self.beta - (&x.q_w - &x.q_l) * self.alpha;
        PairOutput::with_log_ratios(smooth(&z, self.label_smoothing), x, self.beta)
    }
}

/// Step-DPO (arXiv:2406.18629): DPO on steps that share their prefix.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepDpo {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for StepDpo {
    fn default() -> Self {
        StepDpo { beta: 0.5 }
    }
}

impl PairObjective for StepDpo {
    const ABOUT: About = About {
        name: "step_dpo",
        formula: "-ls(beta h), the two steps sharing their prefix",
        source: "Step-DPO, arXiv:2406.18629",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        PairOutput::with_log_ratios(neg_log_sigmoid(&(x.h() * self.beta)), x, self.beta)
    }
}
