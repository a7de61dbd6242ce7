//! Work that threads share.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Multiplications below which one thread is quicker than the wake-up of a second.
pub(crate) const UNSPLIT: usize = 1 << 20;

/// Runs `run` over ranges that make up `0..count`: in one piece where the `work` is below `unsplit`, else on all threads of the
/// present rayon pool, in some pieces for each.
pub(crate) fn share(count: usize, work: usize, unsplit: usize, run: impl Fn(Range<usize>) + Sync) {
    let threads = rayon::current_num_threads();
    if threads == 1 || count < 2 || work < unsplit {
        run(0..count);
        return;
    }
    // Some pieces more than threads: one of them may be held up by others' work.
    let pieces = count.min(threads * (work / unsplit).clamp(1, 4));
    (0..pieces).into_par_iter().for_each(|piece| run(count * piece / pieces..count * (piece + 1) / pieces));
}

/// Numbers that several threads write to, each at places of its own.
pub struct Shared<'a, T> {
    address: *mut T,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: the address is only written through `unsafe` code that says which places are whose.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(numbers: &'a mut [T]) -> Shared<'a, T> {
        Shared { address: numbers.as_mut_ptr(), lifetime: PhantomData }
    }

    pub fn address(&self) -> *mut T {
        self.address
    }
}
