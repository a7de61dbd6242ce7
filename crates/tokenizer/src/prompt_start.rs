//! What stands before every prompt, from the tokenizer's own files.

use crate::beside::{TOKENIZER_CONFIG, fields_of, token_in};
use crate::caught::encoded;
use crate::error::TokenizerError;
use std::path::Path;

/// The ids that the tokenizer puts before a text: what tokenizer.json's post-processor adds there, else the begin-of-text
/// token if `tokenizer_config.json` says `add_bos_token` (Llama's older folders leave it to the class).
pub(crate) fn prompt_start(folder: &Path, inner: &tokenizers::Tokenizer) -> Result<Vec<u32>, TokenizerError> {
    const PROBE: &str = "a";
    let (plain, whole) = (encoded(inner, PROBE, false)?, encoded(inner, PROBE, true)?);
    if plain.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(start) = whole.windows(plain.len()).position(|part| part == plain)
        && start > 0
    {
        return Ok(whole[..start].to_vec());
    }
    let path = folder.join(TOKENIZER_CONFIG);
    let fields = fields_of(&path)?;
    if fields["add_bos_token"] != true {
        return Ok(Vec::new());
    }
    let token = token_in(&fields, "bos_token");
    let id = token.and_then(|token| inner.token_to_id(token));
    let problem =
        || TokenizerError::broken(&path, format!("add_bos_token, but bos_token {token:?} is not in tokenizer.json"));
    Ok(vec![id.ok_or_else(problem)?])
}
