//! Tokens that only `tokenizer_config.json` names, as tools do that add some to a model's.

use crate::beside::{TOKENIZER_CONFIG, fields_of};
use crate::error::TokenizerError;
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::AddedToken;

/// Adds the tokens of `added_tokens_decoder` that the tokenizer does not have as added ones, in the order of their ids, as
/// transformers does; what was added.
pub(crate) fn add_missing(folder: &Path, inner: &mut tokenizers::Tokenizer) -> Result<Vec<AddedToken>, TokenizerError> {
    let path = folder.join(TOKENIZER_CONFIG);
    let fields = fields_of(&path)?;
    let Some(named) = fields["added_tokens_decoder"].as_object() else { return Ok(Vec::new()) };
    let known = inner.get_added_tokens_decoder();
    let mut missing = BTreeMap::new();
    for (id, token) in named {
        let problem = |what: &str| TokenizerError::broken(&path, format!("added_tokens_decoder: {id:?} {what}"));
        let id: u32 = id.parse().map_err(|_| problem("is no id"))?;
        let content = token["content"].as_str().ok_or_else(|| problem("has no content"))?.to_owned();
        let flag = |name: &str| token[name].as_bool();
        let special = flag("special").unwrap_or(false);
        if !known.values().any(|one| one.content == content) {
            let added = AddedToken {
                content,
                single_word: flag("single_word").unwrap_or(false),
                lstrip: flag("lstrip").unwrap_or(false),
                rstrip: flag("rstrip").unwrap_or(false),
                normalized: flag("normalized").unwrap_or(!special),
                special,
            };
            missing.insert(id, added);
        }
    }
    let missing: Vec<AddedToken> = missing.into_values().collect();
    inner.add_tokens(&missing);
    Ok(missing)
}
