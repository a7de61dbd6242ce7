//! DPO and its variants for noisy labels.

use super::numerics::{neg_log_sigmoid, smooth};
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// Direct preference optimisation (arXiv:2305.18290).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dpo {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for Dpo {
    fn default() -> Self {
        Dpo { beta: 0.1 }
    }
}

impl PairObjective for Dpo {
    const ABOUT: About =
        About { name: "dpo", formula: "-ls(beta h)", source: "DPO, arXiv:2305.18290", uses_reference: true };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        PairOutput::with_log_ratios(neg_log_sigmoid(&(x.h() * self.beta)), x, self.beta)
    }
}

/// Conservative DPO: labels are wrong with probability e.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cdpo {
    /// Scale of the log-ratios.
    pub beta: f64,
    /// e, the probability that a pair is the wrong way round.
    pub label_smoothing: f64,
}

impl Default for Cdpo {
    fn default() -> Self {
        Cdpo { beta: 0.1, label_smoothing: 0.1 }
    }
}

impl PairObjective for Cdpo {
    const ABOUT: About = About {
        name: "cdpo",
        formula: "-(1-e) ls(beta h) - e ls(-beta h), e = label_smoothing",
        source: "conservative DPO (Mitchell 2023)",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)?;
        BadParameter::unless_smoothing("label_smoothing", self.label_smoothing)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        PairOutput::with_log_ratios(smooth(&(x.h() * self.beta), self.label_smoothing), x, self.beta)
    }
}

/// Robust DPO (arXiv:2403.00409): an estimate of the noise-free loss that is unbiased when labels flip with
/// probability e. It can be negative.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Robust {
    /// Scale of the log-ratios.
    pub beta: f64,
    /// e, the probability that a pair is the wrong way round.
    pub label_smoothing: f64,
}

impl Default for Robust {
    fn default() -> Self {
        Robust { beta: 0.1, label_smoothing: 0.1 }
    }
}

impl PairObjective for Robust {
    const ABOUT: About = About {
        name: "robust",
        formula: "(-(1-e) ls(beta h) + e ls(-beta h)) / (1 - 2e), e = label_smoothing",
        source: "rDPO, arXiv:2403.00409",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)?;
        BadParameter::unless_smoothing("label_smoothing", self.label_smoothing)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let (z, e) = (x.h() * self.beta, self.label_smoothing);
        let losses = (neg_log_sigmoid(&z) * (1.0 - e) - neg_log_sigmoid(&-z) * e) / (1.0 - 2.0 * e);
        PairOutput::with_log_ratios(losses, x, self.beta)
    }
}
