//! Plackett-Luce list loss.

use super::numerics::from_diagonal;
use super::{About, BadParameter, ListInputs, ListObjective, ListOutput};
use serde::{Deserialize, Serialize};

/// The negative log-likelihood of the siblings' ranking by Q under the Plackett-Luce model (DPO, appendix A.3; the list
/// term of PRO, arXiv:2306.17492). Two siblings give DPO.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlackettLuce {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for PlackettLuce {
    fn default() -> Self {
        PlackettLuce { beta: 0.1 }
    }
}

impl ListObjective for PlackettLuce {
    const ABOUT: About = About {
        name: "plackett_luce",
        formula: "siblings sorted by Q, descending: sum_k [logsumexp_{j>=k} s_j - s_k], s = beta r",
        source: "DPO, arXiv:2305.18290, appendix A.3; PRO, arXiv:2306.17492",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &ListInputs) -> ListOutput {
        let scores = (&x.lp - &x.reference) * self.beta;
        // Stable, so that siblings of equal Q keep their order.
        let order = x.q.argsort_stable(true, 0, true);
        let ranked = scores.index_select(0, &order);
        let k = ranked.size()[0];
        let rows = ranked.unsqueeze(0).expand([k, k], false);
        let later = rows.masked_fill(&from_diagonal(k, &ranked).logical_not(), f64::NEG_INFINITY);
        let loss = (later.logsumexp([1].as_slice(), false) - &ranked).sum(ranked.kind());
        ListOutput { loss, rewards: scores.detach() }
    }
}
