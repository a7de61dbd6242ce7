//! What every stage does before its first step.

use crate::data::{Checked, Limits, SkippedRow, sift};
use crate::error::at;
use crate::fingerprint::{Hashed, fingerprint};
use crate::resume::Identity;
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

/// What is known of a stage once its examples were looked at.
pub(crate) struct Start {
    /// Index of each example to train on among those given.
    pub rows: Vec<usize>,
    pub skipped: Vec<SkippedRow>,
    pub identity: Identity,
}

/// Makes sure that `folder` exists, and sorts out the examples that `model` cannot be trained on. `objective` is what the
/// result depends on beside `config`.
///
/// # Errors
/// When the folder cannot be made, and when no example is left.
pub(crate) fn begin<E: Checked + Hashed>(
    stage: &str,
    model: &Transformer,
    data: &[E],
    config: &TrainConfig,
    objective: &Value,
    folder: &Path,
) -> Result<Start, TrainerError> {
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let shape = model.config();
    let limits = Limits { vocab_size: shape.vocab_size, context: shape.max_position_embeddings };
    let (rows, skipped) = sift(data, limits);
    if rows.is_empty() {
        let first = skipped.first().map(|row| row.reason.to_string());
        return Err(TrainerError::NoExamples { given: data.len(), skipped: skipped.len(), first });
    }
    let identity = Identity {
        stage: stage.into(),
        config: describe(config, objective),
        data: fingerprint(data),
        model: model.hash(),
    };
    Ok(Start { rows, skipped, identity })
}

/// Everything of the configuration that the result depends on.
fn describe(config: &TrainConfig, objective: &Value) -> Value {
    let mut train = json!(config);
    if let Some(fields) = train.as_object_mut() {
        fields.remove("save_every_s");
    }
    json!({ "train": train, "objective": objective })
}

/// The model's named tensors without the value head.
pub(crate) fn parameters(model: &Transformer) -> Vec<(String, Tensor)> {
    model.parameters().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect()
}

/// An example with its index among those given.
pub(crate) fn example_json(row: usize, example: &impl Serialize) -> Value {
    json!({ "row": row, "example": example })
}
