//! Any processor: a vector is an array.

use super::{Lanes, WIDTH};
use crate::half::widened;
use std::array::from_fn;

/// An array of numbers; the compiler finds what registers there are.
pub struct Portable;

unsafe impl Lanes for Portable {
    type Vector = [f32; WIDTH];
    const ROWS: usize = 2;
    const QUERIES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self::Vector {
        [0.0; WIDTH]
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Vector {
        [value; WIDTH]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Vector {
        unsafe { from.cast::<Self::Vector>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::Vector {
        unsafe { from.cast::<[u16; WIDTH]>().read_unaligned() }.map(widened)
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: Self::Vector) {
        unsafe { to.cast::<Self::Vector>().write_unaligned(vector) }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    #[inline(always)]
    unsafe fn fma_pairs(pair: *const u16, pairs: *const u16, c: Self::Vector) -> Self::Vector {
        unsafe {
            let (low, high) = (widened(*pair), widened(*pair.add(1)));
            from_fn(|lane| {
                let sum = low.mul_add(widened(*pairs.add(2 * lane)), c[lane]);
                high.mul_add(widened(*pairs.add(2 * lane + 1)), sum)
            })
        }
    }
}
