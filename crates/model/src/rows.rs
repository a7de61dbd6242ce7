//! Row-wise operations whose bits do not depend on the batch.
//!
//! A matrix product library picks its kernel, and with it the order of its sums, by the number of rows; a vectorised
//! function may compute the last few numbers of a tensor by another formula than the rest. So in the reproducible mode
//! rows are processed in blocks of a fixed shape:
//!
//! ```text
//!   rows    r0 .. r15 | r16 .. r31 | r32 0 .. 0      the last block is filled with zeros
//!             W·         W·           W·             the same call on the same shape, each time
//! ```
//!
//! Additions, multiplications and copies of single numbers are exact in any batch and need no blocks.

use crate::ModelError;
use tch::{Kind, Tensor};

/// Rows of one block. A block begins at a multiple of 64 bytes whatever the width, as the kernels like it.
pub(crate) const BLOCK: i64 = 16;

/// Numbers that LibTorch hands to one thread; calls of this size are never split.
const UNSPLIT: i64 = 32_768;
/// Numbers that the widest vector loop takes at a time.
const VECTOR: i64 = 64;

/// How rows are processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All in one call.
    Fast,
    /// In blocks of [`BLOCK`] rows.
    Invariant,
}

impl Mode {
    /// The number of rows to allocate for `rows` rows.
    pub fn padded(self, rows: usize) -> usize {
        match self {
            Mode::Fast => rows,
            Mode::Invariant => rows.next_multiple_of(BLOCK as usize),
        }
    }

    /// x W^T + b for `x` [R, I] and `weight` [O, I]; R must be a multiple of the block.
    pub fn linear(self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, ModelError> {
        if self == Mode::Fast {
            return Ok(x.f_linear(weight, bias)?);
        }
        let rows = x.size()[0];
        if rows == BLOCK {
            return Ok(x.f_linear(weight, bias)?);
        }
        let blocks = x.f_split(BLOCK, 0)?;
        let blocks = blocks.iter().map(|block| block.f_linear(weight, bias)).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_cat(&blocks, 0)?)
    }

    /// As [`linear`](Self::linear) for any number of rows.
    pub fn linear_padded(self, x: &Tensor, weight: &Tensor) -> Result<Tensor, ModelError> {
        let rows = x.size()[0];
        let padding = self.padded(rows as usize) as i64 - rows;
        if padding == 0 {
            return self.linear(x, weight, None);
        }
        let padded = x.f_constant_pad_nd([0, 0, 0, padding])?;
        Ok(self.linear(&padded, weight, None)?.f_narrow(0, 0, rows)?)
    }

    /// A function of single numbers, for `x` [R, I].
    pub fn pointwise(
        self,
        x: &Tensor,
        function: impl Fn(&Tensor) -> Result<Tensor, tch::TchError>,
    ) -> Result<Tensor, ModelError> {
        let (rows, width) = x.size2()?;
        // Every number is computed by the vector loop if rows are whole vectors, and by the same loop in each row if a
        // row is a call of its own.
        let block = if width % VECTOR == 0 { (UNSPLIT / width).clamp(1, rows.max(1)) } else { 1 };
        if self == Mode::Fast || block >= rows {
            return Ok(function(x)?);
        }
        let blocks = x.f_split(block, 0)?;
        let blocks = blocks.iter().map(function).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_cat(&blocks, 0)?)
    }
}

/// A function of single numbers, for few of them in any shape: each is computed as the first of a row of its own.
pub(crate) fn pointwise_each(
    x: &Tensor,
    function: impl Fn(&Tensor) -> Result<Tensor, tch::TchError>,
) -> Result<Tensor, ModelError> {
    let rows = x.f_reshape([-1, 1])?.f_expand([-1, VECTOR], false)?.f_contiguous()?;
    Ok(Mode::Invariant.pointwise(&rows, function)?.f_select(1, 0)?.f_reshape(x.size())?)
}

/// x / sqrt(mean(x^2) + eps) * w over the last dimension (arXiv:1910.07467), computed in float32.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Tensor {
    let kind = x.kind();
    let wide = x.to_kind(Kind::Float);
    let scale = (wide.square().mean_dim(-1, true, Kind::Float) + eps).rsqrt();
    (wide * scale).to_kind(kind) * weight
}
