//! Ways to train with less memory: adapters, frozen parameters, checkpoints, bfloat16; and references that are known.

use crate::toy::{self, StopAfter};
use espalier_model::Transformer;
use espalier_trainer::{
    LoraConfig, Objective, Precision, PreferencePair, Schedule, TrainConfig, TrainSummary, TrainerError,
};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

fn dpo() -> Objective {
    Objective::new("dpo", &BTreeMap::new()).unwrap()
}

fn prefer(model: &mut Transformer, config: &TrainConfig, folder: &Path) -> TrainSummary {
    toy::trainer(model, config, folder, &mut ()).prefer_pairs(&toy::pairs(12), &[], &dpo()).unwrap()
}

#[test]
fn checkpoints_change_nothing_but_memory() {
    let (kept, recomputed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut a, mut b) = (toy::model(), toy::model());
    prefer(&mut a, &toy::config(), kept.path());
    prefer(&mut b, &TrainConfig { gradient_checkpointing: true, ..toy::config() }, recomputed.path());
    let (a_losses, b_losses) = (toy::column(kept.path(), "loss"), toy::column(recomputed.path(), "loss"));
    assert!(a_losses.iter().zip(&b_losses).all(|(a, b)| (a - b).abs() < 1e-5), "{a_losses:?} {b_losses:?}");
    assert!(toy::distance(&a, &b) < 1e-4, "{}", toy::distance(&a, &b));
}

#[test]
fn frozen_parameters_keep_their_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, before) = (toy::model(), toy::bits(&toy::model()));
    let freeze = vec!["model.embed_tokens.weight".to_owned(), "model.layers.0.*".to_owned()];
    prefer(&mut model, &TrainConfig { freeze, ..toy::config() }, folder.path());
    for ((name, now), (_, before)) in toy::bits(&model).iter().zip(&before) {
        let frozen = name.contains("embed_tokens") || name.contains("layers.0.");
        assert_eq!(now == before, frozen, "{name}");
    }
    let unknown = TrainConfig { freeze: vec!["model.layer.0.*".into()], ..toy::config() };
    let other = tempfile::tempdir().unwrap();
    let error = toy::trainer(&mut toy::model(), &unknown, other.path(), &mut ())
        .prefer_pairs(&toy::pairs(4), &[], &dpo())
        .unwrap_err();
    assert!(error.to_string().contains("freeze is \"model.layer.0.*\""), "{error}");
}

fn lora() -> TrainConfig {
    let targets = ["q_proj", "v_proj", "down_proj"].map(str::to_owned).to_vec();
    TrainConfig { lora: LoraConfig { rank: 4, alpha: 8.0, targets }, ..toy::config() }
}

#[test]
fn adapters_are_saved_and_merged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, fresh) = (toy::model(), toy::model());
    prefer(&mut model, &lora(), folder.path());
    let margins = toy::column(folder.path(), "rewards/margins");
    assert!(margins[0].abs() < 1e-5 && margins[margins.len() - 1] > 0.05, "{margins:?}");
    // The weights changed by exactly s B A where an adapter was, and nowhere else.
    let adapters = Tensor::read_safetensors(folder.path().join("adapter/adapter_model.safetensors")).unwrap();
    assert_eq!(adapters.len(), 2 * 3 * 2, "A and B of three maps in two layers");
    let adapter = |name: &str| adapters.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor);
    for ((name, now), (_, before)) in model.parameters().zip(fresh.parameters()) {
        let base = format!("base_model.model.{}", name.trim_end_matches(".weight"));
        let change = match adapter(&format!("{base}.lora_A.weight")) {
            Some(down) => adapter(&format!("{base}.lora_B.weight")).unwrap().matmul(down) * 2.0,
            None => before.zeros_like(),
        };
        assert!((now - before - change).abs().max().double_value(&[]) < 1e-6, "{name}");
    }
    let config = std::fs::read_to_string(folder.path().join("adapter/adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["r"], &config["lora_alpha"], &config["peft_type"]), (&4.into(), &8.0.into(), &"LORA".into()));
    let bad = TrainConfig { lora: LoraConfig { targets: vec!["lm_head".into()], ..lora().lora }, ..toy::config() };
    let other = tempfile::tempdir().unwrap();
    let error = toy::trainer(&mut toy::model(), &bad, other.path(), &mut ()).prefer_pairs(&toy::pairs(4), &[], &dpo());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("lora.targets") && error.contains("lm_head"), "{error}");
}

#[test]
fn bfloat16_learns_and_keeps_float32_masters() {
    let (folder, wide) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut model = toy::model();
    let single = TrainConfig { epochs: 30, learning_rate: 3e-3, ..toy::config() };
    let half = TrainConfig { precision: Precision::Bfloat16, ..single.clone() };
    let data = toy::sequences(8);
    toy::trainer(&mut model, &half, folder.path(), &mut ()).sft(&data).unwrap();
    toy::trainer(&mut toy::model(), &single, wide.path(), &mut ()).sft(&data).unwrap();
    assert_eq!(model.kind(), Kind::Float, "the masters are what is learnt");
    let last = |folder: &Path| *toy::column(folder, "loss").last().unwrap();
    let (half, single) = (last(folder.path()), last(wide.path()));
    assert!(half < 2.0 && (half - single).abs() < 0.03 * single, "{half} in bfloat16, {single} in float32");
    let state = folder.path().join("trainer_state");
    let finished = std::fs::read_dir(state).unwrap().next().unwrap().unwrap().path();
    for (name, tensor) in Tensor::read_safetensors(finished.join("tensors.safetensors")).unwrap() {
        assert_eq!(tensor.kind(), Kind::Float, "{name}");
    }
}

#[test]
fn every_way_resumes_with_the_same_bits() {
    let half = TrainConfig { precision: Precision::Bfloat16, ..toy::config() };
    let frozen = TrainConfig { freeze: vec!["*norm*".into()], gradient_checkpointing: true, ..toy::config() };
    for config in [lora(), half, frozen] {
        let config = TrainConfig { save_every_s: 0.0, ..config };
        let (whole, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut expected = toy::model();
        prefer(&mut expected, &config, whole.path());
        let mut killed = toy::model();
        let mut stopper = StopAfter { step: 7, gracefully: false };
        toy::trainer(&mut killed, &config, folder.path(), &mut stopper)
            .prefer_pairs(&toy::pairs(12), &[], &dpo())
            .unwrap_err();
        let mut model = toy::model();
        assert_eq!(prefer(&mut model, &config, folder.path()).resumed_from, Some(7));
        let bits = |model: &Transformer| {
            let all = model.parameters().map(|(_, tensor)| tensor.detach().to_kind(Kind::Float).reshape([-1]));
            let all = Tensor::cat(&all.collect::<Vec<_>>(), 0);
            Vec::<f32>::try_from(all).unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert!(bits(&model) == bits(&expected), "{config:?}");
        // A finished training hands its result out again.
        let mut again = toy::model();
        prefer(&mut again, &config, folder.path());
        assert!(bits(&again) == bits(&expected), "{config:?}");
    }
}

#[test]
fn known_references_replace_the_first_pass() {
    let model = toy::model();
    let with_reference = |pair: &PreferencePair| {
        let of = |step: &[u32]| toy::logprob(&model, &[&pair.prompt_ids, step].concat(), pair.prompt_ids.len()) as f32;
        PreferencePair { reference: Some([of(&pair.chosen_ids), of(&pair.rejected_ids)]), ..pair.clone() }
    };
    let data: Vec<PreferencePair> = toy::pairs(8).iter().map(with_reference).collect();
    let (known, computed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::trainer(&mut toy::model(), &toy::config(), known.path(), &mut ()).prefer_pairs(&data, &[], &dpo()).unwrap();
    toy::trainer(&mut toy::model(), &toy::config(), computed.path(), &mut ())
        .prefer_pairs(&toy::pairs(8), &[], &dpo())
        .unwrap();
    let references = |folder: &Path| {
        let entries = std::fs::read_dir(folder.join("trainer_state")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("reference-")).count()
    };
    assert_eq!((references(known.path()), references(computed.path())), (0, 1));
    for (a, b) in toy::column(known.path(), "loss").iter().zip(toy::column(computed.path(), "loss")) {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
fn a_model_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    model.convert(Kind::Double).unwrap();
    let error = toy::trainer(&mut model, &toy::config(), folder.path(), &mut ()).sft(&toy::sequences(4)).unwrap_err();
    assert!(matches!(error, TrainerError::NotFloat32 { .. }), "{error}");
    assert_eq!(model.device(), Device::Cpu);
}

#[test]
fn references_of_another_precision_are_not_used() {
    let model = toy::model();
    let with_reference = |pair: &PreferencePair| {
        let of = |step: &[u32]| toy::logprob(&model, &[&pair.prompt_ids, step].concat(), pair.prompt_ids.len()) as f32;
        PreferencePair { reference: Some([of(&pair.chosen_ids), of(&pair.rejected_ids)]), ..pair.clone() }
    };
    let data: Vec<PreferencePair> = toy::pairs(8).iter().map(with_reference).collect();
    let half = TrainConfig { precision: Precision::Bfloat16, batch_size: 8, ..toy::config() };
    let folder = tempfile::tempdir().unwrap();
    toy::trainer(&mut toy::model(), &half, folder.path(), &mut ()).prefer_pairs(&data, &[], &dpo()).unwrap();
    // The policy is its own reference before the first step: ln 2 and no displacement, to the last bit.
    assert_eq!(toy::column(folder.path(), "displacement/chosen")[0], 0.0);
    assert!((toy::column(folder.path(), "loss")[0] - std::f64::consts::LN_2).abs() < 1e-12);
}

/// The largest and the mean distance of a model's weights from those of the fresh one.
fn moved(model: &Transformer) -> (f64, f64) {
    let (fresh, mut all) = (toy::model(), Vec::new());
    for ((_, now), (_, before)) in model.parameters().zip(fresh.parameters()) {
        all.extend(Vec::<f64>::try_from((now - before).abs().reshape([-1]).to_kind(Kind::Double)).unwrap());
    }
    (all.iter().copied().fold(0.0, f64::max), all.iter().sum::<f64>() / all.len() as f64)
}

#[test]
fn what_half_precision_learns_in_small_steps_reaches_the_policy() {
    let half = TrainConfig {
        precision: Precision::Bfloat16,
        learning_rate: 1e-6,
        schedule: Schedule::Constant,
        warmup_fraction: 0.0,
        epochs: 10,
        ..toy::config()
    };
    let data = toy::sequences(8);
    let train = |model: &mut Transformer, config: &TrainConfig| {
        let folder = tempfile::tempdir().unwrap();
        toy::trainer(model, config, folder.path(), &mut ()).sft(&data).unwrap();
    };
    // 20 steps of AdamW move no weight by much more than 20 rates, and weights of about 0.2 by nothing at all if they were
    // rounded to multiples of 2^-10 before or after.
    let mut model = toy::model();
    train(&mut model, &half);
    let (largest, mean) = moved(&model);
    assert!(largest < 2.5e-5 && mean > 2e-6, "{largest} {mean}");
    // A second stage goes on from there.
    train(&mut model, &half);
    assert!(moved(&model).1 > 1.5 * mean);
    // The same with the weights that are not trained: not one bit of them is lost.
    let mut frozen = toy::model();
    train(&mut frozen, &TrainConfig { freeze: vec!["*mlp*".into()], ..half.clone() });
    for ((name, now), (_, before)) in toy::bits(&frozen).into_iter().zip(toy::bits(&toy::model())) {
        assert_eq!(now == before, name.contains("mlp"), "{name}");
    }
    let mut adapted = toy::model();
    let low_rank = TrainConfig { precision: Precision::Bfloat16, learning_rate: 1e-6, ..lora() };
    train(&mut adapted, &low_rank);
    let (largest, mean) = moved(&adapted);
    assert!(largest > 0.0 && largest < 1e-5 && mean > 0.0, "{largest} {mean}");
}
