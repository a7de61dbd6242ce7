//! ORPO.

use super::numerics::{log1mexp, neg_log_sigmoid};
use super::{About, BadParameter, PairInputs, PairObjective, PairOutput};
use serde::{Deserialize, Serialize};

/// Odds ratio preference optimisation (arXiv:2403.07691): likelihood of the chosen step plus a log odds ratio; no
/// reference.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orpo {
    /// Weight of the odds-ratio term.
    pub lam: f64,
}

impl Default for Orpo {
    fn default() -> Self {
        Orpo { lam: 0.1 }
    }
}

impl PairObjective for Orpo {
    const ABOUT: About = About {
        name: "orpo",
        formula: "-a_w - lam ls((a_w - a_l) - (log1mexp a_w - log1mexp a_l)), a = lp/len, log1mexp x = log(1 - e^x)",
        source: "ORPO, arXiv:2403.07691",
        uses_reference: false,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_not_negative("lam", self.lam)
    }

    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        let (a_w, a_l) = (x.mean_lp_w(), x.mean_lp_l());
        let log_odds = (&a_w - &a_l) - (log1mexp(&a_w) - log1mexp(&a_l));
        let losses = -&a_w + neg_log_sigmoid(&log_odds) * self.lam;
        PairOutput::new(losses, &(&a_w * self.lam), &(&a_l * self.lam))
    }
}
