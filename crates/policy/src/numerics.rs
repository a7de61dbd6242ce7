//! The search's words for how a model computes, as the model's own.

use espalier_model::Numerics;
use espalier_search::{Numerics as Choice, Precision};
use tch::{Device, Kind};

/// LibTorch's name for a precision.
pub fn kind(precision: Precision) -> Kind {
    match precision {
        Precision::Float32 => Kind::Float,
        Precision::Bfloat16 => Kind::BFloat16,
    }
}

/// What is promised of the last bits on a device.
pub(crate) fn numerics(choice: Choice, device: Device) -> Numerics {
    match choice {
        Choice::Auto => Numerics::of(device),
        Choice::Invariant => Numerics::Invariant,
        Choice::Fast => Numerics::Fast,
    }
}
