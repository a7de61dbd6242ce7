//! The differentiable transformer, its files, its cached decoding and its value head.
//!
//! ```text
//!   ids, positions, mask ──► hidden ──┬──► logits          training: gradients flow, any mask
//!        [B, T]             [B, T, H] ├──► token_logprobs
//!                                     └──► values
//!   ids of many groups ────► extend ──┬──► logits          decoding: keys and values are kept, and
//!     [K, T] each           [N, H]    └──► values          by default a row's bits do not depend on the batch
//! ```
//!
//! A [`Transformer`] is trained; a [`Decoder`] is made from it. It reads and writes Hugging Face folders of Llama, Mistral, Qwen2 and Qwen3 models
//! (`config.json`, `model.safetensors`); the value head lies beside them in `value_head.safetensors`. Text and tokenizers are
//! not known here: the model computes on ids.
//!
//! Letters: B sequences, T tokens of a sequence, H width of the residual stream, V vocabulary, d width of a head,
//! K siblings that extend one prefix, P tokens of a prefix, N rows of one pass.
//!
//! ```
//! use espalier_model::{DecodeGroup, Decoder, ModelConfig, Numerics, Transformer};
//! use tch::Device;
//!
//! let (ids, vocabulary) = ([5, 17, 29, 4], 300);
//! let config = ModelConfig::llama(vocabulary, 32, 64, 2, 4, 2, 128)?;
//! let model = Transformer::init(&config, 1, Device::Cpu)?;
//! let mut decoder = Decoder::new(&model, Numerics::Invariant, 1 << 20)?;
//!
//! // The prompt is read once, by a group of one row; three siblings then share it.
//! let mut prompt = DecodeGroup::new(&[], 1, ids.len())?;
//! decoder.extend(&mut [(&mut prompt, &ids)])?;
//! let mut siblings = DecodeGroup::new(&[prompt.suffix(0, 0..ids.len())], 3, 16)?;
//! let states = decoder.extend(&mut [(&mut siblings, &[6, 7, 8])])?;
//! assert_eq!(decoder.logits(&states)?.len(), 3 * vocabulary);
//! # Ok::<(), espalier_model::ModelError>(())
//! ```
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and break files"))]

mod checkpoint;
mod config;
mod decode;
mod error;
mod names;
mod rope;
mod rows;
mod transformer;

pub use config::{Architecture, ModelConfig};
pub use decode::{DecodeGroup, Decoder, KvSegment, Numerics, Pool, States};
pub use error::ModelError;
pub use rope::RopeScaling;
pub use transformer::{Checkpointed, Transformer};
