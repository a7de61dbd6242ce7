//! Panics of the tokenizers library, which a file or a text can cause, as errors.

use crate::error::TokenizerError;

/// What `call` gives, or its panic as an error: a regular expression that backtracks for too long panics, for one.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, TokenizerError> {
    // The tokenizer has no state that a call could leave half changed but its cache, which locks itself.
    espalier_files::caught(call).map_err(TokenizerError::model)
}

/// The ids of a text, with or without what the tokenizer adds to every text.
pub(crate) fn encoded(inner: &tokenizers::Tokenizer, text: &str, special: bool) -> Result<Vec<u32>, TokenizerError> {
    Ok(caught(|| inner.encode_fast(text, special))?.map_err(TokenizerError::model)?.get_ids().to_vec())
}
