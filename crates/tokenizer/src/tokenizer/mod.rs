//! Text to token ids and back, in Hugging Face's files.

use crate::added::add_missing;
use crate::beside::{GENERATION_CONFIG, SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG};
use crate::caught::{caught, encoded};
use crate::chat::{ChatTemplate, Message};
use crate::end_ids::end_ids;
use crate::error::TokenizerError;
use crate::prompt_start::prompt_start;
use espalier_files::{publish_bytes, publish_json, read_input};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use tokenizers::AddedToken;

/// The tokenizer proper.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// Further files that transformers may keep beside them; carried along as they are.
const COMPANIONS: [&str; 6] =
    [SPECIAL_TOKENS_MAP, "added_tokens.json", "chat_template.jinja", "vocab.json", "merges.txt", "tokenizer.model"];

/// Texts behind which a text is encoded that must not be encoded alone.
const ANCHORS: [&str; 4] = ["\n", "a", ".", "0"];

/// A tokenizer: text to ids without any token added, ids to text without any token dropped.
pub struct Tokenizer {
    pub(crate) inner: tokenizers::Tokenizer,
    pub(crate) vocab_size: usize,
    /// Tokens that `tokenizer.json` itself does not have.
    pub(crate) added: Vec<AddedToken>,
    pub(crate) eos_ids: Vec<u32>,
    /// The tokens that the model expects before a prompt: Llama's begin-of-text, nothing in most others.
    pub(crate) prompt_start: Vec<u32>,
    pub(crate) chat_template: Option<Arc<ChatTemplate>>,
    /// Names and bytes of the files that the tokenizer is saved as.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("eos_ids", &self.eos_ids)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Loads a folder's `tokenizer.json`. The tokens that end a text are all that `generation_config.json`,
    /// `config.json` and `tokenizer_config.json` name as such.
    ///
    /// # Errors
    /// A file that is missing or broken, and an end-of-text token that the tokenizer does not know.
    pub fn load(folder: &Path) -> Result<Tokenizer, TokenizerError> {
        let path = folder.join(TOKENIZER);
        let bytes = read_input(&path).map_err(TokenizerError::read(&path))?;
        let mut inner = caught(|| tokenizers::Tokenizer::from_bytes(&bytes))?
            .map_err(|error| TokenizerError::broken(&path, error))?;
        // Files may ask for texts to be cut or filled up; neither may happen to a prompt here.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| TokenizerError::broken(&path, error))?;
        let added = add_missing(folder, &mut inner)?;
        let mut files = vec![(TOKENIZER.to_owned(), bytes)];
        for name in [TOKENIZER_CONFIG, GENERATION_CONFIG].into_iter().chain(COMPANIONS) {
            let path = folder.join(name);
            if path.exists() {
                files.push((name.to_owned(), read_input(&path).map_err(TokenizerError::read(&path))?));
            }
        }
        let eos_ids = end_ids(folder, |token| inner.token_to_id(token))?;
        let prompt_start = prompt_start(folder, &inner)?;
        let chat_template = ChatTemplate::load(folder)?.map(Arc::new);
        Ok(Tokenizer { vocab_size: vocab_size(&inner), inner, added, eos_ids, prompt_start, chat_template, files })
    }

    /// Saves `tokenizer.json`, `tokenizer_config.json` and `generation_config.json` into an existing folder, loadable as
    /// transformers' `PreTrainedTokenizerFast`. What was loaded is saved byte for byte.
    pub fn save(&self, folder: &Path) -> Result<(), TokenizerError> {
        for (name, bytes) in &self.files {
            publish_bytes(&folder.join(name), bytes)?;
        }
        let has = |name: &str| self.files.iter().any(|(file, _)| file == name);
        if !has(TOKENIZER_CONFIG) {
            let end = self.eos_ids.first().and_then(|&id| self.inner.id_to_token(id));
            publish_json(&folder.join(TOKENIZER_CONFIG), &tokenizer_config(end.as_deref()))?;
        }
        if !has(GENERATION_CONFIG) {
            let ids = match self.eos_ids.as_slice() {
                [] => Value::Null,
                [one] => json!(one),
                many => json!(many),
            };
            let pad = self.eos_ids.first();
            publish_json(&folder.join(GENERATION_CONFIG), &json!({ "eos_token_id": ids, "pad_token_id": pad }))?;
        }
        Ok(())
    }

    /// The ids of a text. Special tokens that stand in the text become their ids; none are added.
    ///
    /// # Errors
    /// When the tokenizer's model cannot take the text, as one without an entry for unknown words, or gives it up, as a
    /// regular expression that would try too many ways.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        encoded(&self.inner, text, false)
    }

    /// The ids of a text that a model is to continue: as [`encode`](Self::encode), after what the tokenizer's own files
    /// put before each text (a begin-of-text token in Llama). The ids are those of transformers' `tokenizer(text)`, but
    /// for an end-of-text token after it: nothing could be continued there.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = self.prompt_start.clone();
        ids.extend(self.encode(text)?);
        Ok(ids)
    }

    /// The ids with which a text goes on from `before`, which `before_ids` spell: those that follow them where the whole is
    /// encoded at once. Encoded alone, a text would begin with a space that nobody wrote, in Llama 2 and its kin.
    ///
    /// Where a token of the whole would span the two texts, the text's ids are those that spell it by itself: the ones before
    /// it stay what a model has read.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_after(&self, before: &str, before_ids: &[u32], text: &str) -> Result<Vec<u32>, TokenizerError> {
        let before_ids = before_ids.strip_prefix(self.prompt_start.as_slice()).unwrap_or(before_ids);
        if let Some(more) = self.encode(&format!("{before}{text}"))?.strip_prefix(before_ids) {
            return Ok(more.to_vec());
        }
        let alone = self.encode(text)?;
        let spells = |before_ids: &[u32], ids: &[u32]| {
            self.decode(&[before_ids, ids].concat()) == format!("{}{text}", self.decode(before_ids))
        };
        if spells(before_ids, &alone) {
            return Ok(alone);
        }
        // Behind another text that no token spans, there is no space either.
        for anchor in ANCHORS {
            let anchor_ids = self.encode(anchor)?;
            if let Some(more) = self.encode(&format!("{anchor}{text}"))?.strip_prefix(anchor_ids.as_slice())
                && spells(before_ids, more)
            {
                return Ok(more.to_vec());
            }
        }
        Ok(alone)
    }

    /// The text of a conversation in the folder's chat template, up to where the assistant's next answer begins. It
    /// holds the model's special tokens, so it is encoded by [`encode`](Self::encode).
    ///
    /// # Errors
    /// When the folder has no chat template, or the template refuses the messages.
    pub fn chat(&self, messages: &[Message]) -> Result<String, TokenizerError> {
        self.chat_template.as_ref().ok_or(TokenizerError::NoChatTemplate)?.render(messages)
    }

    /// The chat template itself, if the folder has one.
    pub fn chat_source(&self) -> Option<&str> {
        self.chat_template.as_ref().map(|template| template.source.as_str())
    }

    /// The text of ids, special tokens included. Bytes that are no UTF-8 become U+FFFD; ids that do not exist become
    /// nothing. Should the decoder fail, the tokens' own spellings are joined.
    pub fn decode(&self, ids: &[u32]) -> String {
        let decoded = caught(|| self.inner.decode(ids, false)).ok().and_then(Result::ok);
        decoded.unwrap_or_else(|| ids.iter().filter_map(|&id| self.inner.id_to_token(id)).collect())
    }

    /// What [`encode_prompt`](Self::encode_prompt) puts before a text.
    pub fn prompt_start(&self) -> &[u32] {
        &self.prompt_start
    }

    /// SHA-256 over `tokenizer.json` and the tokens that begin and end texts, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (_, bytes) in self.files.iter().filter(|(name, _)| name == TOKENIZER) {
            hash.update(bytes);
        }
        hash.update(format!("{:?} {:?}", self.prompt_start, self.eos_ids));
        if !self.added.is_empty() {
            hash.update(format!("{:?}", self.added));
        }
        hex::encode(hash.finalize())
    }

    /// The tokens that end a text, rising.
    pub fn eos_ids(&self) -> &[u32] {
        &self.eos_ids
    }

    /// The token that is written where a text ends: `eos_token` of `tokenizer_config.json`, else the lowest of
    /// [`eos_ids`](Self::eos_ids).
    pub fn eos_id(&self) -> Option<u32> {
        let config = self.files.iter().find(|(name, _)| name == TOKENIZER_CONFIG);
        let named = config.and_then(|(_, bytes)| {
            let config = serde_json::from_slice::<Value>(bytes).ok()?;
            let token = config.get("eos_token")?;
            self.token_id(token.as_str().or_else(|| token.get("content")?.as_str())?)
        });
        named.or_else(|| self.eos_ids.first().copied())
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// One more than the highest id of the tokens that are not added ones: a model has at least so many.
    pub fn own_vocab_size(&self) -> usize {
        let own = self.inner.get_vocab(false);
        own.values().max().map_or(0, |&id| id as usize + 1)
    }

    /// The id of one token, if there is such a token.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }
}

pub(crate) fn vocab_size(inner: &tokenizers::Tokenizer) -> usize {
    // Ids may have gaps, so the number of tokens is not enough.
    inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1)
}

fn tokenizer_config(end: Option<&str>) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": end,
        "clean_up_tokenization_spaces": false,
    })
}

#[cfg(test)]
mod tests;
