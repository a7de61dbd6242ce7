//! Panics of libraries that read what others wrote, as errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is where a panic becomes an error: a hook for panics has nothing to report then.
pub fn catches_panics() -> bool {
    CATCHES.get()
}

/// What `call` gives, or the text of its panic. Decoders of Parquet divide by a zero of a damaged file, and a regular
/// expression that backtracks for too long panics; a file must not end who reads it. What `call` used is not used again.
///
/// # Errors
/// The text of the panic.
pub fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let before = CATCHES.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    CATCHES.set(before);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_text_and_marked_while_it_lasts() {
        assert_eq!(caught(catches_panics), Ok(true));
        assert_eq!(caught(|| panic!("no {}", 7)), Err::<(), _>("no 7".to_owned()));
        assert_eq!(caught(|| caught(|| panic!("inner")).is_err() && catches_panics()), Ok(true));
        assert!(!catches_panics());
    }
}
