//! bfloat16: the upper half of a float32.

/// The number that a bfloat16 is.
#[inline]
pub fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// The nearest bfloat16, of two equally near ones the even; NaN stays NaN.
#[inline]
pub fn narrowed(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}
