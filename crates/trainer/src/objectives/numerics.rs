//! Functions of log-probabilities that stay finite, with finite gradients, at differences of several hundred nats.

use tch::{Kind, Tensor};

/// Largest exponent that [`exp_tame`] follows exactly; e^50 still fits a float32 gradient with room for its square.
const EXPONENT_LIMIT: f64 = 50.0;

/// Log-probabilities per token closer to zero than this are moved away from it in [`log1mexp`], where the value would be
/// minus infinity and the gradient undefined.
const CERTAINTY_LIMIT: f64 = 1e-7;

/// -log sigmoid(z), the softplus of -z. Same shape as `z`.
pub(super) fn neg_log_sigmoid(z: &Tensor) -> Tensor {
    -z.log_sigmoid()
}

/// -(1-e) log sigmoid(z) - e log sigmoid(-z): the logistic loss under label smoothing `e` in [0, 1].
pub(super) fn smooth(z: &Tensor, label_smoothing: f64) -> Tensor {
    if label_smoothing == 0.0 {
        return neg_log_sigmoid(z);
    }
    neg_log_sigmoid(z) * (1.0 - label_smoothing) + neg_log_sigmoid(&-z) * label_smoothing
}

/// e^x up to x = 50, continued by its tangent: finite, and with a gradient that still points the right way, where the
/// exponential would overflow.
pub(super) fn exp_tame(x: &Tensor) -> Tensor {
    let bounded = x.clamp_max(EXPONENT_LIMIT).exp();
    let beyond = (x - EXPONENT_LIMIT).clamp_min(0.0) * EXPONENT_LIMIT.exp();
    bounded + beyond
}

/// log(1 - e^x) for x < 0, by whichever of its two forms keeps its digits (Mächler 2012).
pub(super) fn log1mexp(x: &Tensor) -> Tensor {
    let x = x.clamp_max(-CERTAINTY_LIMIT);
    let near_zero = x.gt(-std::f64::consts::LN_2);
    // Both branches are finite on the whole domain, so that neither puts a NaN into the other's gradient.
    (-x.expm1()).log().where_self(&near_zero, &(-x.exp()).log1p())
}

/// max(0, z).
pub(super) fn positive_part(z: &Tensor) -> Tensor {
    z.clamp_min(0.0)
}

/// Upper-triangular ones `[K, K]` as a boolean mask: entry (k, j) is true where j >= k.
pub(super) fn from_diagonal(k: i64, like: &Tensor) -> Tensor {
    Tensor::ones([k, k], (Kind::Bool, like.device())).triu(0)
}
