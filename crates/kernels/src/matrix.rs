//! Products with a weight matrix: y = x W^T + b.
//!
//! Weights are stored in panels of [`PANEL`] outputs, so that one input's weights lie side by side:
//!
//! ```text
//!   W [O, I]      panel 0: w[0..32][0], w[0..32][1], .. w[0..32][I-1]      panel 1: w[32..64][0], ..
//!   a tile        rows r0.. r11 of x  times  one panel: 12 x 32 sums in registers
//! ```
//!
//! Each sum runs over the inputs in their order, whatever the tile: a row's bits depend on no other row, and on neither the
//! number of rows nor of threads.

use crate::half::widened;
use crate::lanes::{Isa, Lanes, WIDTH, with_lanes};
use crate::share::{Shared, UNSPLIT, share};

/// Outputs of one panel.
const PANEL: usize = 2 * WIDTH;

/// A cache line of numbers: vectors are read from whole lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line<T, const N: usize>([T; N]);

enum Panels {
    Float32(Vec<Line<f32, 16>>),
    /// Pairs of consecutive inputs side by side.
    Bfloat16(Vec<Line<u16, 32>>),
}

/// Rows of activations, [rows, inputs].
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// float32.
    Float32(&'a [f32]),
    /// bfloat16, with the inputs [filled up](even) to an even number.
    Bfloat16(&'a [u16]),
}

/// What becomes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Into {
    /// y = x W^T + b
    Set,
    /// y += x W^T + b
    Add,
}

/// A weight matrix in panels, with its bias.
pub struct Matrix {
    outputs: usize,
    inputs: usize,
    panels: Panels,
    bias: Option<Vec<f32>>,
}

/// The number of inputs that rows of bfloat16 have: an odd one is filled up by a zero.
pub fn even(inputs: usize) -> usize {
    inputs.next_multiple_of(2)
}

impl Matrix {
    /// A matrix of float32 weights whose `parts`, [O_i, I] each, stand below one another.
    ///
    /// # Panics
    /// When a part has no whole number of rows.
    pub fn float32<'a>(inputs: usize, parts: impl IntoIterator<Item = &'a [f32]>, bias: Option<Vec<f32>>) -> Matrix {
        let lines = inputs * PANEL / 16;
        let (outputs, panels) = pack(inputs, lines, Line([0.0; 16]), parts, |panel, number, input, output| {
            panel[2 * input + output / WIDTH].0[output % WIDTH] = number;
        });
        Matrix::checked(outputs, inputs, Panels::Float32(panels), bias)
    }

    /// As [`float32`](Self::float32), of bfloat16 weights.
    ///
    /// # Panics
    /// When a part has no whole number of rows.
    pub fn bfloat16<'a>(inputs: usize, parts: impl IntoIterator<Item = &'a [u16]>, bias: Option<Vec<f32>>) -> Matrix {
        let lines = even(inputs) * PANEL / 32;
        let (outputs, panels) = pack(inputs, lines, Line([0; 32]), parts, |panel, number, input, output| {
            panel[input / 2 * 2 + output / WIDTH].0[2 * (output % WIDTH) + input % 2] = number;
        });
        Matrix::checked(outputs, inputs, Panels::Bfloat16(panels), bias)
    }

    fn checked(outputs: usize, inputs: usize, panels: Panels, bias: Option<Vec<f32>>) -> Matrix {
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == outputs), "a bias for each of {outputs} outputs");
        Matrix { outputs, inputs, panels, bias }
    }

    /// O.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// I.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        match &self.panels {
            Panels::Float32(lines) => size_of_val(lines.as_slice()),
            Panels::Bfloat16(lines) => size_of_val(lines.as_slice()),
        }
    }

    /// The weights of one output, as float32.
    ///
    /// # Panics
    /// When there is no such output, or `row` is not as long as the inputs.
    pub fn row(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs && row.len() == self.inputs, "output {output} of {}", self.outputs);
        let (panel, vector, lane) = (output / PANEL, output % PANEL / WIDTH, output % WIDTH);
        for (input, number) in row.iter_mut().enumerate() {
            *number = match &self.panels {
                Panels::Float32(lines) => lines[panel * 2 * self.inputs + 2 * input + vector].0[lane],
                Panels::Bfloat16(lines) => {
                    let line = panel * even(self.inputs) + input / 2 * 2 + vector;
                    widened(lines[line].0[2 * lane + input % 2])
                }
            };
        }
    }

    /// Multiplies `rows` rows `x` into `y` [rows, O].
    ///
    /// # Panics
    /// When a length is not that of the shapes, or the precision of `x` not that of the weights.
    pub fn multiply(&self, isa: Isa, x: Rows, rows: usize, y: &mut [f32], into: Into) {
        assert_eq!(y.len(), rows * self.outputs, "outputs of {rows} rows");
        if rows == 0 {
            return;
        }
        let panels = self.outputs.div_ceil(PANEL);
        let work = rows * self.outputs * self.inputs;
        let y = Shared::new(y);
        share(panels, work, UNSPLIT, |range| {
            for panel in range {
                let sums = Sums { y: y.address(), outputs: self.outputs, first: panel * PANEL, into };
                let bias = self.bias.as_deref();
                // SAFETY: panels and rows have the lengths that were checked, the threads' panels are other columns of y, and
                // the processor has the instructions of the `Isa`.
                unsafe {
                    match (&self.panels, x) {
                        (Panels::Float32(lines), Rows::Float32(x)) => {
                            assert_eq!(x.len(), rows * self.inputs, "inputs of {rows} rows");
                            let panel = lines.as_ptr().add(panel * self.inputs * PANEL / 16).cast();
                            let work = Work { x: x.as_ptr(), panel, inputs: self.inputs, rows, bias };
                            with_lanes!(isa, floats, (work: Work<f32>, sums: Sums));
                        }
                        (Panels::Bfloat16(lines), Rows::Bfloat16(x)) => {
                            let inputs = even(self.inputs);
                            assert_eq!(x.len(), rows * inputs, "inputs of {rows} rows");
                            let panel = lines.as_ptr().add(panel * inputs * PANEL / 32).cast();
                            let work = Work { x: x.as_ptr(), panel, inputs, rows, bias };
                            with_lanes!(isa, halves, (work: Work<u16>, sums: Sums));
                        }
                        _ => panic!("rows and weights of one precision"),
                    }
                }
            }
        });
    }
}

/// Writes rows of `inputs` weights into panels of `lines` lines; `put` is given the panel, the weight, its input and its output
/// in the panel. The number of rows, and the panels.
fn pack<'a, T: Copy + 'a, L: Copy>(
    inputs: usize,
    lines: usize,
    empty: L,
    parts: impl IntoIterator<Item = &'a [T]>,
    put: impl Fn(&mut [L], T, usize, usize),
) -> (usize, Vec<L>) {
    let (mut outputs, mut panels) = (0, Vec::new());
    for part in parts {
        assert!(inputs > 0 && part.len() % inputs == 0, "whole rows of {inputs} weights, not {}", part.len());
        for row in part.chunks_exact(inputs) {
            let (panel, output) = (outputs / PANEL, outputs % PANEL);
            if output == 0 {
                panels.resize((panel + 1) * lines, empty);
            }
            row.iter()
                .enumerate()
                .for_each(|(input, &number)| put(&mut panels[panel * lines..], number, input, output));
            outputs += 1;
        }
    }
    (outputs, panels)
}

/// The rows and the panel of a product.
#[derive(Clone, Copy)]
struct Work<'a, T> {
    x: *const T,
    panel: *const T,
    inputs: usize,
    rows: usize,
    bias: Option<&'a [f32]>,
}

/// Where a panel's sums go.
#[derive(Clone, Copy)]
struct Sums {
    y: *mut f32,
    outputs: usize,
    /// The panel's first output.
    first: usize,
    into: Into,
}

/// Numbers of a row and weights of a panel, multiplied step by step along the inputs.
trait Factor: Copy {
    /// Inputs of one step.
    const STEP: usize;

    unsafe fn step<L: Lanes>(x: *const Self, weights: *const Self, sum: L::Vector) -> L::Vector;
}

impl Factor for f32 {
    const STEP: usize = 1;

    #[inline(always)]
    unsafe fn step<L: Lanes>(x: *const f32, weights: *const f32, sum: L::Vector) -> L::Vector {
        unsafe { L::fma(L::splat(*x), L::load(weights), sum) }
    }
}

impl Factor for u16 {
    const STEP: usize = 2;

    #[inline(always)]
    unsafe fn step<L: Lanes>(x: *const u16, weights: *const u16, sum: L::Vector) -> L::Vector {
        unsafe { L::fma_pairs(x, weights, sum) }
    }
}

#[inline(always)]
unsafe fn floats<L: Lanes>(work: Work<f32>, sums: Sums) {
    unsafe { panel::<L, f32>(work, sums) }
}

#[inline(always)]
unsafe fn halves<L: Lanes>(work: Work<u16>, sums: Sums) {
    unsafe { panel::<L, u16>(work, sums) }
}

/// All rows times one panel, in tiles of rows that are as equal as can be.
#[inline(always)]
unsafe fn panel<L: Lanes, T: Factor>(work: Work<T>, sums: Sums) {
    let tiles = work.rows.div_ceil(L::ROWS);
    for tile in 0..tiles {
        let (from, to) = (work.rows * tile / tiles, work.rows * (tile + 1) / tiles);
        unsafe {
            match to - from {
                1 => rows::<L, T, 1>(work, sums, from),
                2 => rows::<L, T, 2>(work, sums, from),
                3 => rows::<L, T, 3>(work, sums, from),
                4 => rows::<L, T, 4>(work, sums, from),
                5 => rows::<L, T, 5>(work, sums, from),
                6 => rows::<L, T, 6>(work, sums, from),
                7 => rows::<L, T, 7>(work, sums, from),
                8 => rows::<L, T, 8>(work, sums, from),
                9 => rows::<L, T, 9>(work, sums, from),
                10 => rows::<L, T, 10>(work, sums, from),
                11 => rows::<L, T, 11>(work, sums, from),
                _ => rows::<L, T, 12>(work, sums, from),
            }
        }
    }
}

/// R rows from row `from` on times one panel.
#[inline(always)]
unsafe fn rows<L: Lanes, T: Factor, const R: usize>(work: Work<T>, sums: Sums, from: usize) {
    unsafe {
        let mut sum = [[L::zero(); 2]; R];
        let x: [*const T; R] = std::array::from_fn(|row| work.x.add((from + row) * work.inputs));
        let mut input = 0;
        while input < work.inputs {
            let weights = work.panel.add(input * PANEL);
            for row in 0..R {
                let x = x[row].add(input);
                sum[row][0] = T::step::<L>(x, weights, sum[row][0]);
                sum[row][1] = T::step::<L>(x, weights.add(WIDTH * T::STEP), sum[row][1]);
            }
            input += T::STEP;
        }
        let width = PANEL.min(sums.outputs - sums.first);
        for row in 0..R {
            let mut numbers = [0.0_f32; PANEL];
            L::store(numbers.as_mut_ptr(), sum[row][0]);
            L::store(numbers.as_mut_ptr().add(WIDTH), sum[row][1]);
            if let Some(bias) = work.bias {
                numbers.iter_mut().zip(&bias[sums.first..]).for_each(|(number, bias)| *number += bias);
            }
            let y = sums.y.add((from + row) * sums.outputs + sums.first);
            for (place, &number) in numbers[..width].iter().enumerate() {
                match sums.into {
                    Into::Set => *y.add(place) = number,
                    Into::Add => *y.add(place) += number,
                }
            }
        }
    }
}
