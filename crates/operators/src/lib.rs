//! Counts LibTorch's operator calls, for tests.
//!
//! The counter is a callback of LibTorch's own dispatcher (`at::addGlobalCallback`), so that no call passes by it, whoever makes it.
#![allow(unsafe_code, reason = "two functions of C")]

use std::sync::Once;

unsafe extern "C" {
    fn espalier_count_operators();
    fn espalier_operators() -> u64;
}

/// Operator calls of all threads while `run` runs, and what it gives.
pub fn operators<T>(run: impl FnOnce() -> T) -> (u64, T) {
    static BEGIN: Once = Once::new();
    // SAFETY: no arguments; the callback lives as long as the process.
    BEGIN.call_once(|| unsafe { espalier_count_operators() });
    // SAFETY: reads an atomic number.
    let before = unsafe { espalier_operators() };
    let result = run();
    // SAFETY: as above.
    (unsafe { espalier_operators() } - before, result)
}
