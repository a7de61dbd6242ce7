//! What every stage does before its first step.

use crate::data::{Limits, SkippedRow};
use crate::error::at;
use crate::{TrainConfig, TrainerError};
use espalier_model::Transformer;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use tch::{Device, Tensor};

/// A model while it is trained.
#[derive(Clone, Copy)]
pub(crate) struct Trained<'a> {
    pub model: &'a Transformer,
    /// Its sliding window in tokens, if it has one.
    pub window: Option<usize>,
    pub device: Device,
}

impl<'a> Trained<'a> {
    pub fn new(model: &'a Transformer) -> Trained<'a> {
        Trained { model, window: model.config().sliding_window, device: model.device() }
    }
}

/// Makes sure that `folder` exists.
pub(crate) fn folder(folder: &Path) -> Result<(), TrainerError> {
    std::fs::create_dir_all(folder).map_err(at(folder))
}

/// What the model can read.
pub(crate) fn limits(model: &Transformer) -> Limits {
    let config = model.config();
    Limits { vocab_size: config.vocab_size, context: config.max_position_embeddings }
}

/// Fails if all examples were skipped.
pub(crate) fn some_left(given: usize, kept: &[usize], skipped: &[SkippedRow]) -> Result<(), TrainerError> {
    if kept.is_empty() {
        let first = skipped.first().map(|row| row.reason.to_string());
        return Err(TrainerError::NoExamples { given, skipped: skipped.len(), first });
    }
    Ok(())
}

/// Everything of the configuration that the result depends on.
pub(crate) fn describe(config: &TrainConfig, objective: &Value) -> Value {
    let mut train = json!(config);
    if let Some(fields) = train.as_object_mut() {
        fields.remove("save_every_s");
    }
    json!({ "train": train, "objective": objective })
}

/// Hash of the model's weights.
pub(crate) fn model_hash(model: &Transformer) -> String {
    model.hash()
}

/// The model's named tensors without the value head.
pub(crate) fn parameters(model: &Transformer) -> Vec<(String, Tensor)> {
    model.parameters().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect()
}

/// An example with its index among those given.
pub(crate) fn example_json(row: usize, example: &impl Serialize) -> Value {
    json!({ "row": row, "example": example })
}
