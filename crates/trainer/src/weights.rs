//! Which of a model's weights are trained, and as what: in which precision, themselves or adapters beside them.

use crate::config::LoraConfig;
use crate::error::at;
use crate::optimizer::AdamW;
use crate::{Precision, TrainConfig, TrainerError};
use espalier_model::Transformer;
use espalier_settings::OutOfRange;
use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// The float32 weights of a model that computes in rounded copies of them: taken before they are rounded, trained in the
/// optimiser, and put back at the end, so that no stage of a run loses what the one before learnt.
#[derive(Debug, Default)]
pub(crate) struct Masters(HashMap<String, Tensor>);

impl Masters {
    /// Takes out the master of a parameter, if it was rounded.
    pub fn take(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }

    /// Keeps, in main memory, those alone whose rounded copies in `model` say less: weights that are not trained often
    /// come from a file of rounded numbers.
    fn keep_what_rounding_lost(&mut self, model: &Transformer) {
        for (name, rounded) in model.parameters().chain(model.adapters()) {
            if let Some(master) = self.0.remove(name)
                && !rounded.to_kind(Kind::Float).equal(&master)
            {
                self.0.insert(name.to_owned(), master.to_device(Device::Cpu));
            }
        }
    }
}

/// Puts the model into the precision of `config`, and adapters beside its linear maps if it asks for them. What it rounds
/// is handed back.
pub(crate) fn prepare(model: &mut Transformer, config: &TrainConfig) -> Result<Masters, TrainerError> {
    if config.lora.rank > 0 {
        model.add_adapters(config.lora.rank, config.lora.alpha, &config.lora.targets, config.seed)?;
    }
    if config.precision == Precision::Float32 {
        return Ok(Masters::default());
    }
    let all = model.parameters().chain(model.adapters()).filter(|(_, tensor)| tensor.kind() == Kind::Float);
    // The weights get other memory; this stays as it is.
    let masters = all.map(|(name, tensor)| (name.to_owned(), tensor.detach())).collect();
    model.convert(Kind::BFloat16)?;
    Ok(Masters(masters))
}

/// The optimiser of these parameters, which takes their masters over.
pub(crate) fn optimizer(
    model: &Transformer,
    trained: &[(String, Tensor)],
    masters: &mut Masters,
    config: &TrainConfig,
) -> Result<AdamW, TrainerError> {
    let optimizer = AdamW::new(trained, |name| masters.take(name), config)?;
    masters.keep_what_rounding_lost(model);
    Ok(optimizer)
}

/// The named tensors that `config` trains, without the value head: the adapters if there are some, else all weights that
/// are not frozen.
pub(crate) fn of_policy(model: &Transformer, config: &TrainConfig) -> Result<Vec<(String, Tensor)>, TrainerError> {
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

/// What remains after the last step: a float32 model of the masters, trained or not. Adapters, if the model has some, are
/// saved to `folder/adapter` and merged.
pub(crate) fn finish(
    model: &mut Transformer,
    optimizer: AdamW,
    masters: &Masters,
    config: &TrainConfig,
    folder: &Path,
) -> Result<(), TrainerError> {
    if model.kind() == Kind::Float {
        drop(optimizer);
    } else {
        let trained = optimizer.into_masters();
        model.convert(Kind::Float)?;
        let trained: HashMap<&str, &Tensor> = trained.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let _guard = tch::no_grad_guard();
        for (name, tensor) in model.parameters().chain(model.adapters()) {
            if let Some(master) = trained.get(name).copied().or_else(|| masters.0.get(name)) {
                tensor.shallow_clone().f_copy_(master)?;
            }
        }
    }
    if model.adapters().next().is_some() {
        let LoraConfig { rank, alpha, targets } = &config.lora;
        let adapter = folder.join("adapter");
        std::fs::create_dir_all(&adapter).map_err(at(&adapter))?;
        model.save_adapters(&adapter, "", *rank, *alpha, targets)?;
        model.merge_adapters()?;
    }
    Ok(())
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
