//! Functions of rows that are no products: norms, turns, gates, exponentials.
//!
//! All arithmetic is IEEE addition, multiplication and division in a fixed order, without the platform's mathematics library: the
//! same numbers give the same bits on every machine.

use crate::half::narrowed;
use crate::lanes::{Isa, Lanes, WIDTH, with_lanes};
use crate::share::{Shared, share};
use std::ops::Range;

/// Numbers below which one thread is quicker than the wake-up of a second.
const UNSPLIT: usize = 1 << 16;

/// exp(x), to two units in the last place; 0 below -87, and at most about 2.4e38.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, the first of few bits so that n times it is exact (Cody and Waite);
    // the polynomial is that of Cephes' expf.
    const SHIFT: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.3);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_2e-4_f32.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127).wrapping_shl(23));
    // NaN is below nothing.
    if x < -87.3 { 0.0 } else { p * scale }
}

/// Replaces the scores at the positions `visible` by exp(score - the largest), and all others of the `line` by 0. The sum.
#[inline(always)]
pub(crate) fn shares(line: &mut [f32], visible: Range<usize>) -> f32 {
    // Vectors begin at multiples of their width, so that the order of the sum depends on positions alone.
    let whole = visible.start / WIDTH * WIDTH..visible.end.next_multiple_of(WIDTH);
    line[whole.start..visible.start].fill(f32::NEG_INFINITY);
    line[visible.end..whole.end].fill(f32::NEG_INFINITY);
    let (before, rest) = line.split_at_mut(whole.start);
    let (seen, after) = rest.split_at_mut(whole.len());
    before.fill(0.0);
    after.fill(0.0);
    let mut largest = [f32::NEG_INFINITY; WIDTH];
    for vector in seen.chunks_exact(WIDTH) {
        for (largest, &number) in largest.iter_mut().zip(vector) {
            *largest = if number > *largest { number } else { *largest };
        }
    }
    let largest = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0_f32; WIDTH];
    for vector in seen.chunks_exact_mut(WIDTH) {
        for (sum, number) in sums.iter_mut().zip(vector) {
            *number = exp(*number - largest);
            *sum += *number;
        }
    }
    total(sums)
}

/// The sum of a vector, by halves.
#[inline(always)]
fn total(mut sums: [f32; WIDTH]) -> f32 {
    let mut half = WIDTH / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Rows of activations that are written for a product.
pub enum Output<'a> {
    /// float32.
    Float32(&'a mut [f32]),
    /// bfloat16, with the width filled up to an even number.
    Bfloat16(&'a mut [u16]),
}

/// Where threads write rows of an [`Output`].
enum Rows<'a> {
    Float32(Shared<'a, f32>),
    Bfloat16(Shared<'a, u16>),
}

impl Rows<'_> {
    /// # Safety
    /// No other thread writes the row, and it lies within the output.
    #[inline(always)]
    unsafe fn write(&self, row: usize, width: usize, numbers: impl Fn(usize) -> f32) {
        match self {
            Rows::Float32(to) => {
                let to = unsafe { std::slice::from_raw_parts_mut(to.address().add(row * width), width) };
                to.iter_mut().enumerate().for_each(|(place, to)| *to = numbers(place));
            }
            Rows::Bfloat16(to) => {
                let stride = width.next_multiple_of(2);
                let to = unsafe { std::slice::from_raw_parts_mut(to.address().add(row * stride), stride) };
                to[..width].iter_mut().enumerate().for_each(|(place, to)| *to = narrowed(numbers(place)));
                to[width..].fill(0);
            }
        }
    }
}

fn checked(output: Output, rows: usize, width: usize) -> Rows {
    match output {
        Output::Float32(to) => {
            assert_eq!(to.len(), rows * width, "{rows} rows of {width}");
            Rows::Float32(Shared::new(to))
        }
        Output::Bfloat16(to) => {
            assert_eq!(to.len(), rows * width.next_multiple_of(2), "{rows} rows of {width}");
            Rows::Bfloat16(Shared::new(to))
        }
    }
}

/// x / sqrt(mean(x^2) + eps) * w of each row of `x` [R, width] (arXiv:1910.07467).
///
/// # Panics
/// When a length is not that of the shapes.
pub fn rms_norm(isa: Isa, x: &[f32], weight: &[f32], eps: f32, output: Output) {
    let width = weight.len();
    let rows = x.len() / width;
    assert_eq!(x.len(), rows * width, "rows of {width}");
    let to = &checked(output, rows, width);
    share(rows, x.len(), UNSPLIT, |range| {
        for row in range {
            let x = &x[row * width..(row + 1) * width];
            // SAFETY: rows are the threads' own, and the processor has the instructions of the `Isa`.
            unsafe { with_lanes!(isa, norm, (x: &[f32], weight: &[f32], eps: f32, to: &Rows, row: usize)) };
        }
    });
}

#[inline(always)]
unsafe fn norm<L: Lanes>(x: &[f32], weight: &[f32], eps: f32, to: &Rows, row: usize) {
    let scale = inverse_root(x, eps);
    unsafe { to.write(row, x.len(), |place| x[place] * scale * weight[place]) };
}

/// 1 / sqrt(mean(x^2) + eps)
#[inline(always)]
fn inverse_root(x: &[f32], eps: f32) -> f32 {
    let mut sums = [0.0_f32; WIDTH];
    let vectors = x.chunks_exact(WIDTH);
    for (sum, number) in sums.iter_mut().zip(vectors.remainder()) {
        *sum = number * number;
    }
    for vector in vectors {
        sums.iter_mut().zip(vector).for_each(|(sum, number)| *sum = number.mul_add(*number, *sum));
    }
    1.0 / (total(sums) / x.len() as f32 + eps).sqrt()
}

/// The norm of each head of `x`, in place; a head is as wide as the `weight`.
pub fn norm_heads(x: &mut [f32], weight: &[f32], eps: f32) {
    for head in x.chunks_exact_mut(weight.len()) {
        let scale = inverse_root(head, eps);
        head.iter_mut().zip(weight).for_each(|(number, weight)| *number *= scale * weight);
    }
}

/// Turns the pairs (i, i + d/2) of each head of `x` by the angles of one position, and multiplies all by `scale`:
/// x_i cos - x_{i+d/2} sin, x_{i+d/2} cos + x_i sin. `cosines` and `sines` are [d/2].
pub fn turn(x: &mut [f32], cosines: &[f32], sines: &[f32], scale: f32) {
    let half = cosines.len();
    for head in x.chunks_exact_mut(2 * half) {
        let (first, second) = head.split_at_mut(half);
        for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
            (*a, *b) = ((*a * cosine - *b * sine) * scale, (*b * cosine + *a * sine) * scale);
        }
    }
}

/// silu(gate) * up of each row of `x` [R, 2 width]: gates, then ups (SwiGLU, arXiv:2002.05202).
///
/// # Panics
/// When a length is not that of the shapes.
pub fn swiglu(isa: Isa, x: &[f32], width: usize, output: Output) {
    let rows = x.len() / (2 * width);
    assert_eq!(x.len(), rows * 2 * width, "rows of twice {width}");
    let to = &checked(output, rows, width);
    share(rows, x.len(), UNSPLIT, |range| {
        for row in range {
            let (gate, up) = x[row * 2 * width..(row + 1) * 2 * width].split_at(width);
            // SAFETY: rows are the threads' own, and the processor has the instructions of the `Isa`.
            unsafe { with_lanes!(isa, gated, (gate: &[f32], up: &[f32], to: &Rows, row: usize)) };
        }
    });
}

#[inline(always)]
unsafe fn gated<L: Lanes>(gate: &[f32], up: &[f32], to: &Rows, row: usize) {
    unsafe { to.write(row, up.len(), |place| gate[place] / (1.0 + exp(-gate[place])) * up[place]) };
}

/// Rows as a product takes them.
pub fn copy(x: &[f32], width: usize, output: Output) {
    let rows = x.len() / width;
    let to = checked(output, rows, width);
    for row in 0..rows {
        // SAFETY: one thread writes, within the output.
        unsafe { to.write(row, width, |place| x[row * width + place]) };
    }
}
