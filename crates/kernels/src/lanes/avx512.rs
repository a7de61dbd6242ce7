//! AVX-512: a vector is one register.

use super::Lanes;
use std::arch::x86_64::{
    __m256i, __m512, __m512bh, __m512i, _mm256_loadu_si256, _mm512_and_si512, _mm512_castsi512_ps,
    _mm512_cvtepu16_epi32, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps,
};

macro_rules! common {
    () => {
        type Vector = __m512;
        const ROWS: usize = 12;
        const QUERIES: usize = 8;

        #[inline(always)]
        unsafe fn zero() -> __m512 {
            unsafe { _mm512_setzero_ps() }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_half(from: *const u16) -> __m512 {
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast::<__m256i>()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, vector: __m512) {
            unsafe { _mm512_storeu_ps(to, vector) }
        }

        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
    };
}

/// Without products of bfloat16 pairs.
pub struct Avx512;

unsafe impl Lanes for Avx512 {
    common!();

    #[inline(always)]
    unsafe fn fma_pairs(pair: *const u16, pairs: *const u16, c: __m512) -> __m512 {
        unsafe {
            let pair = _mm512_set1_epi32(pair.cast::<i32>().read_unaligned());
            let pairs = _mm512_loadu_si512(pairs.cast());
            let high = _mm512_set1_epi32(0xffff_0000_u32 as i32);
            let (pair_low, low) = (_mm512_slli_epi32::<16>(pair), _mm512_slli_epi32::<16>(pairs));
            let (pair_high, high) = (_mm512_and_si512(pair, high), _mm512_and_si512(pairs, high));
            let c = _mm512_fmadd_ps(_mm512_castsi512_ps(pair_low), _mm512_castsi512_ps(low), c);
            _mm512_fmadd_ps(_mm512_castsi512_ps(pair_high), _mm512_castsi512_ps(high), c)
        }
    }
}

/// With them.
pub struct Avx512Bf16;

unsafe impl Lanes for Avx512Bf16 {
    common!();

    #[inline(always)]
    unsafe fn fma_pairs(pair: *const u16, pairs: *const u16, c: __m512) -> __m512 {
        unsafe {
            let pair = _mm512_set1_epi32(pair.cast::<i32>().read_unaligned());
            let pairs = _mm512_loadu_si512(pairs.cast());
            let pair = std::mem::transmute::<__m512i, __m512bh>(pair);
            let pairs = std::mem::transmute::<__m512i, __m512bh>(pairs);
            _mm512_dpbf16_ps(c, pair, pairs)
        }
    }
}
