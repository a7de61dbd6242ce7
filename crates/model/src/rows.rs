//! Row-wise operations that training and decoding share.

use crate::ModelError;
use tch::{Kind, Tensor};

/// Numbers that LibTorch hands to one thread; calls of this size are never split.
const UNSPLIT: i64 = 32_768;
/// Numbers that the widest vector loop takes at a time.
const VECTOR: i64 = 64;

/// A function of single numbers, for few of them in any shape. A vectorised function may compute the last few numbers of a tensor
/// by another formula than the rest; here each is computed as the first of a row of its own, so that its bits depend on no other.
pub(crate) fn pointwise_each(
    x: &Tensor,
    function: impl Fn(&Tensor) -> Result<Tensor, tch::TchError>,
) -> Result<Tensor, ModelError> {
    let rows = x.f_reshape([-1, 1])?.f_expand([-1, VECTOR], false)?.f_contiguous()?;
    let blocks = rows.f_split(UNSPLIT / VECTOR, 0)?;
    let blocks = blocks.iter().map(function).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::f_cat(&blocks, 0)?.f_select(1, 0)?.f_reshape(x.size())?)
}

/// x / sqrt(mean(x^2) + eps) * w over the last dimension (arXiv:1910.07467), computed in float32.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Tensor {
    let kind = x.kind();
    let wide = x.to_kind(Kind::Float);
    let scale = (wide.square().mean_dim(-1, true, Kind::Float) + eps).rsqrt();
    (wide * scale).to_kind(kind) * weight
}
