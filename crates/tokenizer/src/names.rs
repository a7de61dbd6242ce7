//! Names of the files beside a tokenizer.

/// What transformers adds to it; written when missing.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Where a model's end-of-text tokens stand.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
