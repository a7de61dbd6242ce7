//! What every stage does before its first step.

use crate::config::LoraConfig;
use crate::data::{Checked, Limits, SkippedRow, sift};
use crate::error::at;
use crate::fingerprint::{Hashed, fingerprint};
use crate::resume::Identity;
use crate::{TrainConfig, TrainerError};
use espalier_model::{Precision, Transformer};
use espalier_settings::OutOfRange;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use tch::{Device, Kind, Tensor};

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
    let (rows, skipped) = sift_for(model, data);
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

/// Separates the examples that `model` can be trained on, by index, from those that it cannot.
pub(crate) fn sift_for<E: Checked>(model: &Transformer, data: &[E]) -> (Vec<usize>, Vec<SkippedRow>) {
    let shape = model.config();
    sift(data, Limits { vocab_size: shape.vocab_size, context: shape.max_position_embeddings })
}

/// Everything of the configuration that the result depends on.
fn describe(config: &TrainConfig, objective: &Value) -> Value {
    let mut train = json!(config);
    if let Some(fields) = train.as_object_mut() {
        fields.remove("save_every_s");
    }
    json!({ "train": train, "objective": objective })
}

/// Puts the model into the precision of `config`, and adapters beside its linear maps if it asks for them.
pub(crate) fn prepare(model: &mut Transformer, config: &TrainConfig) -> Result<(), TrainerError> {
    if config.lora.rank > 0 {
        model.add_adapters(config.lora.rank, config.lora.alpha, &config.lora.targets, config.seed)?;
    }
    if config.precision == Precision::Bfloat16 {
        model.convert(Kind::BFloat16)?;
    }
    Ok(())
}

/// The named tensors that `config` trains, without the value head: the adapters if there are some, else all weights that
/// are not frozen.
pub(crate) fn parameters(model: &Transformer, config: &TrainConfig) -> Result<Vec<(String, Tensor)>, TrainerError> {
    let owned = |(name, tensor): (&str, &Tensor)| (name.to_owned(), tensor.shallow_clone());
    if config.lora.rank > 0 {
        return Ok(model.adapters().map(owned).collect());
    }
    let bad = |value: String, must| Err(OutOfRange::new("freeze", value, must).into());
    if let Some(pattern) =
        config.freeze.iter().find(|pattern| !model.parameters().any(|(name, _)| matches(pattern, name)))
    {
        return bad(format!("{pattern:?}"), "a name of parameters, as model.embed_tokens.weight or model.layers.0.*");
    }
    let frozen = |name: &str| config.freeze.iter().any(|pattern| matches(pattern, name));
    let trained: Vec<_> = model.parameters().filter(|(name, _)| !frozen(name)).map(owned).collect();
    if trained.is_empty() {
        return bad(format!("{:?}", config.freeze), "patterns that leave a parameter to train");
    }
    Ok(trained)
}

/// Whether `name` is `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name
            .strip_prefix(before)
            .is_some_and(|left| (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))),
    }
}

/// What remains after the last step: adapters are saved to `folder/adapter` and merged into the weights.
pub(crate) fn finish(model: &mut Transformer, config: &TrainConfig, folder: &Path) -> Result<(), TrainerError> {
    let LoraConfig { rank, alpha, targets } = &config.lora;
    if *rank > 0 {
        let adapter = folder.join("adapter");
        std::fs::create_dir_all(&adapter).map_err(at(&adapter))?;
        model.save_adapters(&adapter, "", *rank, *alpha, targets)?;
        model.merge_adapters()?;
    }
    Ok(())
}

/// An example with its index among those given.
pub(crate) fn example_json(row: usize, example: &impl Serialize) -> Value {
    json!({ "row": row, "example": example })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("model.layers.0.*", "model.layers.0.mlp.up_proj.weight"));
        assert!(!matches("model.layers.0.*", "model.layers.10.mlp.up_proj.weight"));
        assert!(matches("*norm*", "model.layers.0.input_layernorm.weight") && matches("*", "x"));
        assert!(matches("*.mlp.*.weight", "model.layers.3.mlp.gate_proj.weight"));
        assert!(!matches("norm", "model.norm.weight") && !matches("*.bias", "model.norm.weight"));
    }
}
