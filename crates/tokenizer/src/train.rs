//! A new tokenizer from texts.

use crate::error::TokenizerError;
use crate::tokenizer::{self, TOKENIZER, Tokenizer};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, TokenizerBuilder};

/// Ends a text; id 0.
const END: &str = "<|endoftext|>";
/// Tokens of single bytes.
const BYTES: usize = 256;

impl Tokenizer {
    /// Trains byte-level BPE (GPT-2's) on texts, to at most `vocab_size` tokens.
    ///
    /// Every digit is a token of its own, so that numbers are always cut alike. `<|endoftext|>` is token 0 and ends a
    /// text; each of `special_tokens` is one token wherever it stands, and part of the text like any other: decoding
    /// never drops it. The same texts give the same tokenizer.
    ///
    /// # Errors
    /// When `vocab_size` leaves no room for the special tokens and the 256 bytes.
    pub fn train_bpe(
        texts: impl IntoIterator<Item = impl AsRef<str>>,
        vocab_size: usize,
        special_tokens: &[impl AsRef<str>],
    ) -> Result<Tokenizer, TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::model(error);
        let mut added = vec![AddedToken::from(END, true)];
        for token in special_tokens.iter().map(AsRef::as_ref) {
            if token.is_empty() {
                return Err(TokenizerError::EmptySpecialToken);
            }
            if !added.iter().any(|known| known.content == token) {
                added.push(AddedToken::from(token, false).normalized(false));
            }
        }
        let smallest = added.len() + BYTES;
        if vocab_size < smallest {
            return Err(TokenizerError::VocabSize { vocab_size, smallest });
        }
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .show_progress(false)
            .special_tokens(added.clone())
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let byte_level = ByteLevel::new(false, true, true);
        let mut inner = TokenizerBuilder::<BPE, tokenizers::NormalizerWrapper, Sequence, ByteLevel, ByteLevel>::new()
            .with_model(BPE::default())
            .with_pre_tokenizer(Some(Sequence::new(vec![Digits::new(true).into(), byte_level.into()])))
            .with_decoder(Some(byte_level))
            .build()
            .map_err(failed)?;
        // Special tokens are cut out first: they never reach the merges, so the merges must not learn from them.
        let pieces: Vec<String> = texts.into_iter().flat_map(|text| cut(text.as_ref(), &added)).collect();
        inner.train(&mut trainer, pieces.into_iter()).map_err(failed)?;
        let bytes = inner.to_string(true).map_err(failed)?.into_bytes();
        let inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(failed)?;
        let end = inner.token_to_id(END).ok_or_else(|| TokenizerError::Model(format!("{END} got no id")))?;
        let files = vec![(TOKENIZER.to_owned(), bytes)];
        Ok(Tokenizer {
            vocab_size: tokenizer::vocab_size(&inner),
            added: Vec::new(),
            inner,
            eos_ids: vec![end],
            prompt_start: Vec::new(),
            chat_template: None,
            files,
        })
    }
}

/// The parts of `text` between special tokens.
fn cut(text: &str, special: &[AddedToken]) -> Vec<String> {
    let mut parts = vec![text];
    for token in special {
        parts = parts.into_iter().flat_map(|part| part.split(token.content.as_str())).collect();
    }
    parts.into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
