//! The numbers that a model computes in.

use espalier_settings::choices;
use tch::Kind;

choices! {
    /// What weights, activations, keys and values are.
    #[derive(Default)]
    pub enum Precision {
        /// 32 bits.
        #[default]
        Float32 = "float32",
        /// 16 bits with the exponents of float32; norms, softmax and log-probabilities are computed in float32 all the same.
        Bfloat16 = "bfloat16",
    }
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
