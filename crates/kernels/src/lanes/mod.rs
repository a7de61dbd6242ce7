//! Sixteen float32 numbers at a time, on each kind of processor.
//!
//! The kernels are written once over [`Lanes`]; a kind says how many registers they are and how wide an instruction is. All
//! kinds do the same IEEE operations in the same order, so that they give the same bits: all but products of bfloat16, for which
//! [`Isa::Avx512Bf16`] has an instruction with a rounding of its own.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, Avx512Bf16};
pub(crate) use portable::Portable;
use std::sync::OnceLock;

/// Numbers of one vector.
pub const WIDTH: usize = 16;

/// Instructions that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// x86-64 with AVX-512 and its products of bfloat16 pairs.
    Avx512Bf16,
    /// x86-64 with AVX-512.
    Avx512,
    /// x86-64 with AVX2 and fused multiplication and addition.
    Avx2,
    /// Any processor.
    Portable,
}

impl Isa {
    /// The best that this processor has.
    pub fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Isa::available()[0])
    }

    /// All that this processor has, the best first.
    pub fn available() -> Vec<Isa> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("fma");
            if has_avx512 && is_x86_feature_detected!("avx512bf16") {
                all.push(Isa::Avx512Bf16);
            }
            if has_avx512 {
                all.push(Isa::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Isa::Avx2);
            }
        }
        all.push(Isa::Portable);
        all
    }
}

/// A vector of [`WIDTH`] numbers.
///
/// # Safety
/// Methods may only run on a processor that has the kind's instructions, and read and write [`WIDTH`] numbers where they are
/// given an address.
pub unsafe trait Lanes {
    /// The vector.
    type Vector: Copy;
    /// Rows of a tile of a product, so that its sums fit the registers.
    const ROWS: usize;
    /// Queries that attention reads a key for at a time.
    const QUERIES: usize;

    unsafe fn zero() -> Self::Vector;
    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Of bfloat16 numbers.
    unsafe fn load_half(from: *const u16) -> Self::Vector;
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    /// a b + c, rounded once.
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// c + a b of pairs of bfloat16 numbers: `pair` for all lanes, `pairs` a pair for each.
    unsafe fn fma_pairs(pair: *const u16, pairs: *const u16, c: Self::Vector) -> Self::Vector;
}

/// Calls `$kernel::<L>` with the lanes of an [`Isa`], in a function compiled for its instructions.
macro_rules! with_lanes {
    ($isa:expr, $kernel:ident, ($($name:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        {
            use crate::lanes::{Avx2, Avx512, Avx512Bf16, Isa, Portable};
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma,avx2")]
            unsafe fn avx512_bf16($($name: $type),*) { unsafe { $kernel::<Avx512Bf16>($($name),*) } }
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma,avx2")]
            unsafe fn avx512($($name: $type),*) { unsafe { $kernel::<Avx512>($($name),*) } }
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($name: $type),*) { unsafe { $kernel::<Avx2>($($name),*) } }
            match $isa {
                Isa::Avx512Bf16 => avx512_bf16($($name),*),
                Isa::Avx512 => avx512($($name),*),
                Isa::Avx2 => avx2($($name),*),
                Isa::Portable => $kernel::<Portable>($($name),*),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = $isa;
            $kernel::<crate::lanes::Portable>($($name),*)
        }
    }};
}
pub(crate) use with_lanes;
