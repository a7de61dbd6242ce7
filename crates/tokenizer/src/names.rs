//! Names of the files beside a tokenizer.

/// The special tokens by their roles, where the next file does not name them.
pub(crate) const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
/// What transformers adds to it; written when missing.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Where a model's end-of-text tokens stand.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
