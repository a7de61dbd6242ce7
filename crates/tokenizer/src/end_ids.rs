//! The tokens that end a text, from the files of a model's folder.

use crate::beside::{GENERATION_CONFIG, TOKENIZER_CONFIG, fields_of, token_in};
use crate::error::TokenizerError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// All end-of-text ids that the folder's files name: models for chat end a turn with a token that only
/// `generation_config.json` lists.
pub(crate) fn end_ids(folder: &Path, token_id: impl Fn(&str) -> Option<u32>) -> Result<Vec<u32>, TokenizerError> {
    let mut ids = BTreeSet::new();
    for name in [GENERATION_CONFIG, "config.json", TOKENIZER_CONFIG] {
        let path = folder.join(name);
        let fields = fields_of(&path)?;
        let listed = match &fields["eos_token_id"] {
            Value::Null => &[][..],
            Value::Array(ids) => ids,
            one => std::slice::from_ref(one),
        };
        for value in listed {
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            let problem = || TokenizerError::broken(&path, format!("eos_token_id {value} is no token id"));
            ids.insert(id.ok_or_else(problem)?);
        }
        if let Some(token) = token_in(&fields, "eos_token") {
            let problem = || TokenizerError::broken(&path, format!("eos_token {token:?} is not in tokenizer.json"));
            ids.insert(token_id(token).ok_or_else(problem)?);
        }
    }
    Ok(ids.into_iter().collect())
}
