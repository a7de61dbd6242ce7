//! LiPO-lambda list loss.

use super::numerics::neg_log_sigmoid;
use super::{About, BadParameter, ListInputs, ListObjective, ListOutput};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// LiPO-lambda (arXiv:2402.01878): all pairs of the list by a logistic loss, each weighted by what swapping the two
/// would change in the discounted cumulative gain. Weights carry no gradient.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LipoLambda {
    /// Scale of the log-ratios.
    pub beta: f64,
}

impl Default for LipoLambda {
    fn default() -> Self {
        LipoLambda { beta: 0.1 }
    }
}

impl ListObjective for LipoLambda {
    const ABOUT: About = About {
        name: "lipo_lambda",
        formula: "sum over Q_i > Q_j of abs((G_i - G_j) (1/D_i - 1/D_j)) softplus(s_j - s_i), s = beta r, G = 2^Q - 1, \
                  D = ln(1 + rank by s)",
        source: "LiPO, arXiv:2402.01878",
        uses_reference: true,
    };

    fn check(&self) -> Result<(), BadParameter> {
        BadParameter::unless_positive("beta", self.beta)
    }

    fn evaluate(&self, x: &ListInputs) -> ListOutput {
        let scores = (&x.lp - &x.reference) * self.beta;
        ListOutput { loss: lambda_loss(&scores, &x.q), rewards: scores.detach() }
    }
}

/// The weighted logistic loss of the siblings' `scores` `[K]` against the ranking by `q` `[K]`.
pub(super) fn lambda_loss(scores: &Tensor, q: &Tensor) -> Tensor {
    let fixed = scores.detach();
    // The inverse of the sorting permutation is each sibling's rank; ranks start at 1.
    let ranks = fixed.argsort_stable(true, 0, true).argsort(0, false).to_kind(fixed.kind()) + 1.0;
    let discount = (ranks + 1.0).log().reciprocal();
    let gain = q.exp2() - 1.0;
    let weight = (gain.unsqueeze(1) - gain.unsqueeze(0)).abs()
        * (discount.unsqueeze(1) - discount.unsqueeze(0)).abs()
        * q.unsqueeze(1).gt_tensor(&q.unsqueeze(0)).to_kind(fixed.kind());
    let margin = scores.unsqueeze(1) - scores.unsqueeze(0);
    (weight * neg_log_sigmoid(&margin)).sum(scores.kind())
}
