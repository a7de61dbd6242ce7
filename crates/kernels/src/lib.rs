//! Kernels of a processor for decoding: products, attention and pointwise functions whose rows share no number.
//!
//! ```text
//!   x [R, I] ──► Matrix::multiply ──► y [R, O]       R rows of any requests; each row's sums in one fixed order
//!   q, blocks of keys and values ──► attend ──► [R, heads d]      a row sees its own tokens, in their order
//! ```
//!
//! A row's bits depend on the row alone: not on its batch, on threads, on how its keys are cut into blocks, or (but for
//! bfloat16 products) on the kind of processor.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "vector instructions, and rows that threads write side by side")]
#![allow(clippy::inline_always, reason = "what is inlined is compiled for the caller's instructions")]
#![allow(clippy::cast_ptr_alignment, reason = "the loads are those of unaligned addresses")]
#![allow(clippy::needless_range_loop, reason = "sums of a tile, whose loops the compiler unrolls")]

mod attention;
mod half;
mod lanes;
mod matrix;
mod pointwise;
mod share;

pub use attention::{BLOCK, Element, Heads, Piece, Seen, attend};
pub use half::{narrowed, widened};
pub use lanes::{Isa, WIDTH};
pub use matrix::{Into, Matrix, Rows, even};
pub use pointwise::{Output, copy, norm_heads, rms_norm, swiglu, turn};
