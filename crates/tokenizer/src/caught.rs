//! Panics of the tokenizers library, which a file or a text can cause, as errors.

use crate::error::TokenizerError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is where a panic becomes a [`TokenizerError`]: a hook for panics has nothing to report then.
pub fn catches_panics() -> bool {
    CATCHES.get()
}

/// What `call` gives, or its panic as an error: a regular expression that backtracks for too long panics, for one.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, TokenizerError> {
    let before = CATCHES.replace(true);
    // The tokenizer has no state that a call could leave half changed but its cache, which locks itself.
    let outcome = catch_unwind(AssertUnwindSafe(call));
    CATCHES.set(before);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        TokenizerError::model(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked"))
    })
}

/// The ids of a text, with or without what the tokenizer adds to every text.
pub(crate) fn encoded(inner: &tokenizers::Tokenizer, text: &str, special: bool) -> Result<Vec<u32>, TokenizerError> {
    Ok(caught(|| inner.encode_fast(text, special))?.map_err(TokenizerError::model)?.get_ids().to_vec())
}
