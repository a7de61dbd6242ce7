//! The numbers that a model computes in.

use serde::{Deserialize, Serialize};
use tch::Kind;

/// What weights, activations, keys and values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    Float32,
    /// 16 bits with the exponents of float32; norms, softmax and log-probabilities are computed in float32 all the same.
    Bfloat16,
}

impl Precision {
    /// LibTorch's name for it.
    pub fn kind(self) -> Kind {
        match self {
            Precision::Float32 => Kind::Float,
            Precision::Bfloat16 => Kind::BFloat16,
        }
    }
}
