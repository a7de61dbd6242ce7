//! AVX2: a vector is two registers.

use super::Lanes;
use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cvtepu16_epi32,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_slli_epi32, _mm256_storeu_ps,
};

/// Two registers of eight numbers.
pub struct Avx2;

unsafe impl Lanes for Avx2 {
    type Vector = (__m256, __m256);
    const ROWS: usize = 3;
    const QUERIES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self::Vector {
        unsafe { (_mm256_setzero_ps(), _mm256_setzero_ps()) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Vector {
        unsafe { (_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Vector {
        unsafe { (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::Vector {
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast::<__m128i>()));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(8).cast::<__m128i>()));
            let (low, high) = (_mm256_slli_epi32::<16>(low), _mm256_slli_epi32::<16>(high));
            (_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: Self::Vector) {
        unsafe {
            _mm256_storeu_ps(to, vector.0);
            _mm256_storeu_ps(to.add(8), vector.1);
        }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        unsafe { (_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1)) }
    }

    #[inline(always)]
    unsafe fn fma_pairs(pair: *const u16, pairs: *const u16, c: Self::Vector) -> Self::Vector {
        unsafe {
            let pair = _mm256_set1_epi32(pair.cast::<i32>().read_unaligned());
            let mask = _mm256_set1_epi32(0xffff_0000_u32 as i32);
            let pair_low = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pair));
            let pair_high = _mm256_castsi256_ps(_mm256_and_si256(pair, mask));
            // No closure: it would be compiled without the caller's instructions.
            let mut halves = [c.0, c.1];
            for (place, half) in halves.iter_mut().enumerate() {
                let pairs = _mm256_loadu_si256(pairs.add(16 * place).cast::<__m256i>());
                let low = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs));
                let high = _mm256_castsi256_ps(_mm256_and_si256(pairs, mask));
                *half = _mm256_fmadd_ps(pair_high, high, _mm256_fmadd_ps(pair_low, low, *half));
            }
            (halves[0], halves[1])
        }
    }
}
