//! Text to token ids and back, in Hugging Face's files, and texts that grow token by token.
//!
//! ```text
//!  messages ── chat template ──► text ── encode_prompt ──► prefix ids ─┐
//!                                                                      ▼
//!                       a model's tokens, one by one ──────────► Continuation ──► text, ids, what ended it
//! ```
//!
//! A [`Tokenizer`] is loaded from a folder's `tokenizer.json` and the files beside it, or trained from texts. No token is
//! added to a text but what its files put before a prompt, and decoding drops none. A [`Continuation`] is the rule of where
//! a candidate ends: at a stop string, at a token that ends texts, or at a limit; every policy takes that rule from here.
//!
//! Letters: T tokens, V vocabulary.
//!
//! ```
//! use espalier_tokenizer::Tokenizer;
//!
//! let tokenizer = Tokenizer::train_bpe(["<step>6 + 7 = 13</step>"; 3], 300, &["<step>", "</step>"])?;
//! let ids = tokenizer.encode("<step>6 + 7")?;
//! assert_eq!(tokenizer.decode(&ids), "<step>6 + 7");
//! assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
//! # Ok::<(), espalier_tokenizer::TokenizerError>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests prepare folders of foreign files"))]

mod added;
mod beside;
mod caught;
mod chat;
mod continuation;
mod end_ids;
mod error;
mod prompt_start;
mod stream;
mod tokenizer;
mod train;

pub use chat::Message;
pub use continuation::{Continuation, End};
pub use error::TokenizerError;
pub use tokenizer::Tokenizer;
