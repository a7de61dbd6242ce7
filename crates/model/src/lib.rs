//! The differentiable transformer, its files, its cached decoding and its value head.
//!
//! ```text
//!   ids, positions, mask ──► hidden ──┬──► logits          training: gradients flow, any mask
//!        [B, T]             [B, T, H] ├──► token_logprobs
//!                                     └──► values
//!   ids of many groups ────► extend ──┬──► logits          decoding: keys and values are kept,
//!     [K, T] each           [N, H]    └──► values          a row's bits do not depend on the batch
//! ```
//!
//! One [`Transformer`] serves both. It reads and writes Hugging Face folders of Llama, Mistral, Qwen2 and Qwen3 models
//! (`config.json`, `model.safetensors`), as the [`Tokenizer`] does its own files; the value head lies beside them in
//! `value_head.safetensors`.
//!
//! Letters: B sequences, T tokens of a sequence, H width of the residual stream, V vocabulary, d width of a head,
//! K siblings that extend one prefix, P tokens of a prefix, N rows of one pass.
//!
//! ```
//! use espalier_model::{DecodeGroup, ModelConfig, Tokenizer, Transformer};
//! use tch::Device;
//!
//! let tokenizer = Tokenizer::train_bpe(["<step>6 + 7 = 13</step>"; 3], 300, &["<step>", "</step>"])?;
//! let ids = tokenizer.encode("<step>6 + 7")?;
//! assert_eq!(tokenizer.decode(&ids), "<step>6 + 7");
//!
//! let config = ModelConfig::llama(tokenizer.vocab_size(), 32, 64, 2, 4, 2, 128)?;
//! let model = Transformer::init(&config, 1, Device::Cpu)?;
//!
//! // The prompt is read once, by a group of one row; three siblings then share it.
//! let mut prompt = DecodeGroup::new(&model, &[], 1, ids.len())?;
//! let hidden = model.extend(&mut [(&mut prompt, &ids)])?;
//! let next = model.logits(&hidden).argmax(-1, false).int64_value(&[0]) as u32;
//! let mut siblings = DecodeGroup::new(&model, &[prompt.suffix(0, 0..ids.len())], 3, 16)?;
//! let hidden = model.extend(&mut [(&mut siblings, &[next, 7, 8])])?;
//! assert_eq!(model.logits(&hidden).size(), [3, tokenizer.vocab_size() as i64]);
//! # Ok::<(), espalier_model::ModelError>(())
//! ```
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and break files"))]

mod checkpoint;
mod config;
mod decode;
mod error;
mod names;
mod precision;
mod rope;
mod rows;
mod tokenizer;
mod transformer;

pub use config::{Architecture, ModelConfig};
pub use decode::{DecodeGroup, KvSegment};
pub use error::ModelError;
pub use precision::Precision;
pub use rope::RopeScaling;
pub use tokenizer::{Message, Tokenizer};
pub use transformer::{Checkpointed, Transformer};
