//! The files beside a tokenizer: their names, and what is in them.

use crate::error::TokenizerError;
use espalier_files::read_input;
use serde_json::Value;
use std::path::Path;

/// The special tokens by their roles, where the next file does not name them.
pub(crate) const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
/// What transformers adds to it; written when missing.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Where a model's end-of-text tokens stand.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";

/// The fields of a JSON file; null where there is no such file.
pub(crate) fn fields_of(path: &Path) -> Result<Value, TokenizerError> {
    if !path.exists() {
        return Ok(Value::Null);
    }
    let text = read_input(path).map_err(TokenizerError::read(path))?;
    serde_json::from_slice(&text).map_err(|error| TokenizerError::broken(path, error))
}

/// The token of a role: a plain string, or an object that says how the token is matched.
pub(crate) fn token_in<'f>(fields: &'f Value, role: &str) -> Option<&'f str> {
    fields[role].as_str().or_else(|| fields[role]["content"].as_str())
}
