//! Weights in files: safetensors, whole or in shards.

mod bytes;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use bytes::tensor_bytes;
pub(crate) use read::{read_file, read_folder, shape_in};
pub(crate) use write::write_file;

/// The weights of a model that lie in one file.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The list of shards, where they lie in several.
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// The value head, beside the weights because transformers knows none.
pub(crate) const VALUE_HEAD_FILE: &str = "value_head.safetensors";
