//! Numbers that keys and values are stored as.

use super::tile::{Place, Scratch, Task, floats, halves};
use crate::half::narrowed;
use crate::lanes::{Isa, Lanes, with_lanes};

/// A number that keys and values are stored as: float32, or a bfloat16 in a `u16`.
pub trait Element: Copy + Send + Sync + 'static {
    /// Zero.
    const ZERO: Self;

    /// The stored form of a number.
    fn of(value: f32) -> Self;

    /// # Safety
    /// As that of [`Lanes`].
    #[doc(hidden)]
    unsafe fn vector<L: Lanes>(from: *const Self) -> L::Vector;

    /// # Safety
    /// The task's numbers lie within their slices, and the processor has the instructions of the `Isa`.
    #[doc(hidden)]
    unsafe fn run(isa: Isa, place: &Place, task: &Task<Self>, scratch: &mut Scratch);
}

impl Element for f32 {
    const ZERO: f32 = 0.0;

    fn of(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    unsafe fn vector<L: Lanes>(from: *const f32) -> L::Vector {
        unsafe { L::load(from) }
    }

    unsafe fn run(isa: Isa, place: &Place, task: &Task<f32>, scratch: &mut Scratch) {
        unsafe { with_lanes!(isa, floats, (place: &Place, task: &Task<f32>, scratch: &mut Scratch)) }
    }
}

impl Element for u16 {
    const ZERO: u16 = 0;

    fn of(value: f32) -> u16 {
        narrowed(value)
    }

    #[inline(always)]
    unsafe fn vector<L: Lanes>(from: *const u16) -> L::Vector {
        unsafe { L::load_half(from) }
    }

    unsafe fn run(isa: Isa, place: &Place, task: &Task<u16>, scratch: &mut Scratch) {
        unsafe { with_lanes!(isa, halves, (place: &Place, task: &Task<u16>, scratch: &mut Scratch)) }
    }
}
