//! Tree preference optimization.

use super::lipo_lambda::lambda_loss;
use super::{About, BadParameter, ListInputs, ListObjective, ListOutput};
use serde::{Deserialize, Serialize};

/// TPO (arXiv:2410.12854): the lambda list loss, each step's log-ratio scaled by its adaptive step reward 1 + c. c is the
/// cosine between the step's mean hidden state and that of the best sibling, as in the authors' program; it carries no
/// gradient here. They average the steps of whole responses, shared ones included; here the siblings are what differs
/// below one state, so that each has one such step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tpo {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for Tpo {
    fn default() -> Self {
        Tpo { beta: 0.5 }
    }
}

impl ListObjective for Tpo {
    const ABOUT: About = About {
        name: "tpo",
        formula: "lipo_lambda of s = beta (1 + c) r, c = cosine of the step's mean hidden state and the best sibling's",
        source: "TPO, arXiv:2410.12854",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &ListInputs) -> ListOutput {
        let scores = (&x.lp - &x.reference) * (x.similarity.detach() + 1.0) * self.beta;
        ListOutput { loss: lambda_loss(&scores, &x.q), rewards: scores.detach() }
    }
}
