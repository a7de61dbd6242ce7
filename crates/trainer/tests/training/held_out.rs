//! Held-out pairs: what is measured on them, early stopping, and the warning.

use crate::toy::{self, StopAfter};
use espalier_files::{publish_bytes, remove_folder};
use espalier_model::Transformer;
use espalier_trainer::{Objective, Observer, PreferencePair, TrainConfig, TrainSummary, TrainerError};
use std::collections::BTreeMap;
use std::path::Path;

fn trained(config: &TrainConfig, folder: &Path) -> (Transformer, TrainSummary) {
    let mut model = toy::model();
    let summary = train(&mut model, config, folder, &mut (), true).unwrap();
    (model, summary)
}

/// With `opposite`, all held-out pairs are the wrong way round of what is trained on: learning makes them worse.
fn train(
    model: &mut Transformer,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
    opposite: bool,
) -> Result<TrainSummary, TrainerError> {
    let dpo = Objective::new("dpo", &BTreeMap::new()).unwrap();
    let all = toy::pairs(24);
    let mut held_out = all[..8].to_vec();
    if opposite {
        held_out.iter_mut().for_each(|pair| std::mem::swap(&mut pair.chosen_ids, &mut pair.rejected_ids));
    }
    toy::trainer(model, config, folder, observer).prefer_pairs(&all, &held_out, &dpo)
}

/// Mass and entropy of the ten likeliest tokens of the fresh model, the mean over the states before each token of the
/// steps, computed one sequence and one number at a time.
fn spread(pairs: &[PreferencePair]) -> (f64, f64) {
    let (model, mut masses, mut entropies) = (toy::model(), Vec::new(), Vec::new());
    for pair in pairs {
        for step in [&pair.chosen_ids, &pair.rejected_ids] {
            for end in 0..step.len() {
                let before = [&pair.prompt_ids[..], &step[..end]].concat();
                let next = |id: u32| toy::logprob(&model, &[&before[..], &[id]].concat(), before.len());
                let mut logprobs: Vec<f64> = (0..toy::VOCAB).map(next).collect();
                logprobs.sort_by(|a, b| b.total_cmp(a));
                masses.push(logprobs[..10].iter().map(|lp| lp.exp()).sum::<f64>());
                entropies.push(-logprobs[..10].iter().map(|lp| lp * lp.exp()).sum::<f64>());
            }
        }
    }
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
    (mean(&masses), mean(&entropies))
}

#[test]
fn looks_come_before_the_first_step_and_after_each_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { epochs: 3, ..toy::config() };
    let (_, summary) = trained(&config, folder.path());
    assert_eq!(summary.steps, 18);
    let looks: Vec<_> = toy::metrics(folder.path()).into_iter().filter(|line| line["eval/loss"].is_number()).collect();
    let steps: Vec<_> = looks.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 6, 12, 18]);
    // The policy is its own reference at first.
    let first = &looks[0];
    let of = |name: &str| first[name].as_f64().unwrap();
    assert!((of("eval/loss") - std::f64::consts::LN_2).abs() < 1e-5 && of("eval/kl").abs() < 1e-6);
    assert!(of("eval/ranking/policy") == of("eval/ranking/reference"));
    let (mass, entropy) = spread(&toy::pairs(24)[..8]);
    assert!((of("eval/top_k_mass") - mass).abs() < 1e-5, "{} {mass}", of("eval/top_k_mass"));
    assert!((of("eval/entropy_top_k") - entropy).abs() < 1e-5, "{} {entropy}", of("eval/entropy_top_k"));
    let last = &looks[3];
    assert!(last["eval/kl"].as_f64().unwrap() > 1e-4);
    assert!(last["eval/loss"].as_f64().unwrap() > of("eval/loss"), "learning the opposite makes it worse");
    // Both steps of a pair have the same share of the gradient of DPO.
    assert!((toy::metrics(folder.path())[1]["gradient/chosen_share"].as_f64().unwrap() - 0.5).abs() < 1e-9);
}

#[test]
fn training_stops_when_the_held_out_loss_no_longer_falls_and_goes_back_to_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { epochs: 50, eval_every: 3, patience: 2, save_every_s: 0.0, ..toy::config() };
    let (model, summary) = trained(&config, folder.path());
    assert_eq!((summary.best_step, summary.steps), (Some(0), 6));
    assert_eq!(toy::bits(&model), toy::bits(&toy::model()), "the best parameters are those before the first step");
    // Killed in between, it stops at the same step with the same parameters.
    let killed = tempfile::tempdir().unwrap();
    let mut stopper = StopAfter { step: 4, gracefully: false };
    train(&mut toy::model(), &config, killed.path(), &mut stopper, true).unwrap_err();
    let (again, resumed) = trained(&config, killed.path());
    assert_eq!((resumed.resumed_from, resumed.steps, resumed.best_step), (Some(4), 6, Some(0)));
    assert_eq!(toy::bits(&again), toy::bits(&model));
}

#[test]
fn looks_of_steps_that_were_not_saved_are_forgotten() {
    // Killed after the look before the first step, and after later ones, without a saved state, and again and again.
    let config = TrainConfig { epochs: 3, eval_every: 1, patience: 1, ..toy::config() };
    let whole = tempfile::tempdir().unwrap();
    let mut expected = toy::model();
    let summary = train(&mut expected, &config, whole.path(), &mut (), false).unwrap();
    assert!(summary.best_step.unwrap() >= 3, "{summary:?}");
    let folder = tempfile::tempdir().unwrap();
    for (step, gracefully) in [(1, false), (2, true), (3, false), (3, false)] {
        train(&mut toy::model(), &config, folder.path(), &mut StopAfter { step, gracefully }, false).unwrap_err();
    }
    let mut model = toy::model();
    let resumed = train(&mut model, &config, folder.path(), &mut (), false).unwrap();
    assert_eq!((resumed.resumed_from, resumed.steps, resumed.best_step), (Some(2), summary.steps, summary.best_step));
    assert_eq!(toy::bits(&model), toy::bits(&expected));
    let steps =
        |folder: &Path| toy::metrics(folder).iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(steps(folder.path()), (0..=summary.steps).collect::<Vec<_>>());
    assert_eq!(steps(folder.path()), steps(whole.path()));
}

#[test]
fn without_whole_best_parameters_training_begins_anew() {
    let config = TrainConfig { epochs: 50, eval_every: 3, patience: 2, save_every_s: 0.0, ..toy::config() };
    let best = |folder: &Path| folder.join("trainer_state/best");
    for spoil in [
        |best: &Path| remove_folder(best).unwrap(),
        |best: &Path| publish_bytes(&best.join("tensors.safetensors"), b"x").unwrap(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut stopper = StopAfter { step: 4, gracefully: true };
        train(&mut toy::model(), &config, folder.path(), &mut stopper, true).unwrap_err();
        spoil(&best(folder.path()));
        let (_, summary) = trained(&config, folder.path());
        assert_eq!((summary.resumed_from, summary.steps, summary.best_step), (None, 6, Some(0)));
    }
}
