//! EXO.

use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Efficient exact optimisation for pairs (arXiv:2402.00856): the reverse KL divergence between the policy's preference
/// and a smoothed label, KL((p, 1-p) || (1-e, e)) with p = sigmoid(beta h).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exo {
    /// Scale of the log-ratios.
    pub beta: f64,
    /// e, the probability that a pair is the wrong way round; above 0.
    pub label_smoothing: f64,
}

impl Default for Exo {
    fn default() -> Self {
        Exo { beta: 0.1, label_smoothing: 1e-3 }
    }
}

impl PairObjective for Exo {
    const ABOUT: About = About {
        name: "exo",
        formula: "p (ln p - ln(1-e)) + (1-p) (ln(1-p) - ln e), p = sigmoid(beta h), e = label_smoothing",
        source: "EXO, arXiv:2402.00856",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)?;
        let e = self.label_smoothing;
        BadParameter::unless(e > 0.0 && e < 0.5, "label_smoothing", e, "above 0 and below 1/2")
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let (z, e) = (x.h() * self.beta, self.label_smoothing);
        let side = |z: &Tensor, label: f64| z.sigmoid() * (z.log_sigmoid() - label.ln());
        let losses = side(&z, 1.0 - e) + side(&-&z, e);
        PairOutput::with_log_ratios(losses, x, self.beta)
    }
}
