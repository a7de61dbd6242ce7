//! Extrapolation between rounds: a step on in the direction of the last round's change.

use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place};
use crate::stage::policy_folder::{self, PolicyFolder};
use crate::stage::policy_model::{self, Published};
use crate::stage::train::work_folder;
use anyhow::{Context as _, Result};
use espalier_files::Existing;
use espalier_model::Transformer;
use std::path::Path;
use tch::no_grad;

/// Raised when equal policies and gamma give another policy than before.
const RULES: u32 = 1;

/// Publishes the policy of theta + gamma (theta - theta'), theta the weights of `policy`, theta' those of `previous`
/// (Accelerated Preference Optimization, arXiv:2410.06293, equation 3.8; its theta' is what the round before had trained,
/// before it was itself extrapolated). Value head, tokenizer and prompts are those of `policy`.
///
/// # Errors
/// When a policy cannot be loaded, or the two have not the same weights.
pub fn run(policy: &Path, previous: &Path, gamma: f64, out: &Path, context: &Context) -> Result<()> {
    let config = context.config;
    let identity = Identity::new("extrapolate", RULES)
        .with("round.extrapolation", gamma)
        .input("policy", policy_folder::fingerprint(policy)?)
        .input("previous policy", policy_folder::fingerprint(previous)?);
    let place = Place::policy(out, &work_folder(out), &[]);
    let work = match contract::begin::<()>(place, identity, context)? {
        Begun::Done(()) => return Ok(()),
        Begun::Work(work) => work,
    };
    let source = PolicyFolder::open(policy)?;
    let (model, tokenizer) = source.load(config)?;
    let (before, _) = PolicyFolder::open(previous)?.load(config)?;
    extrapolate(&model, &before, gamma)
        .with_context(|| format!("cannot extrapolate from {} to {}", previous.display(), policy.display()))?;
    let published =
        Published { prompting: source.prompting().cloned(), record: Some(work.record()), ..Published::default() };
    policy_model::save(out, Existing::Replaced, &model, &tokenizer, &published)?;
    work.finish(&(), &format!("gamma {gamma}"))
}

fn extrapolate(model: &Transformer, previous: &Transformer, gamma: f64) -> Result<()> {
    for ((name, now), (other, before)) in model.parameters().zip(previous.parameters()) {
        anyhow::ensure!(
            name == other && now.size() == before.size(),
            "{name} {:?} has no equal in {other} {:?}",
            now.size(),
            before.size()
        );
        // In place: a shallow clone is the same weight.
        let _ = no_grad(|| now.shallow_clone().f_add_(&((now - before) * gamma)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_model::ModelConfig;
    use tch::Device;

    fn model(seed: u64, hidden: usize) -> Transformer {
        let config = ModelConfig::llama(40, hidden, 16, 1, 2, 1, 32).unwrap();
        Transformer::init(&config, seed, Device::Cpu).unwrap()
    }

    fn weights(model: &Transformer) -> Vec<f64> {
        model.parameters().flat_map(|(_, weight)| Vec::<f64>::try_from(weight.flatten(0, -1)).unwrap()).collect()
    }

    #[test]
    fn every_weight_goes_on_by_gamma_times_its_change() {
        let (now, before) = (model(1, 8), model(2, 8));
        let (old, from) = (weights(&now), weights(&before));
        extrapolate(&now, &before, 0.25).unwrap();
        for ((new, theta), previous) in weights(&now).into_iter().zip(old).zip(from) {
            assert!((new - (1.25 * theta - 0.25 * previous)).abs() < 1e-6, "{theta}, {previous} gave {new}");
        }
    }

    #[test]
    fn models_of_other_shapes_are_refused() {
        let error = extrapolate(&model(1, 8), &model(1, 16), 0.5).unwrap_err().to_string();
        assert!(error.contains("[40, 8]") && error.contains("[40, 16]"), "{error}");
    }
}
