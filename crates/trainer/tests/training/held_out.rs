//! Held-out pairs: what is measured on them, early stopping, and the warning.

use crate::toy::{self, StopAfter};
use espalier_trainer::{Objective, PreferencePair, TrainConfig, TrainSummary};
use std::collections::BTreeMap;
use std::path::Path;

fn trained(config: &TrainConfig, folder: &Path) -> (espalier_model::Transformer, TrainSummary) {
    let mut model = toy::model();
    let dpo = Objective::new("dpo", &BTreeMap::new()).unwrap();
    let all = toy::pairs(24);
    // All held-out pairs are the wrong way round of what is trained on: learning makes them worse.
    let mut wrong = all[..8].to_vec();
    wrong.iter_mut().for_each(|pair| std::mem::swap(&mut pair.chosen_ids, &mut pair.rejected_ids));
    let summary = toy::trainer(&mut model, config, folder, &mut ()).prefer_pairs(&all, &wrong, &dpo).unwrap();
    (model, summary)
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
    let dpo = Objective::new("dpo", &BTreeMap::new()).unwrap();
    let all = toy::pairs(24);
    let mut wrong = all[..8].to_vec();
    wrong.iter_mut().for_each(|pair| std::mem::swap(&mut pair.chosen_ids, &mut pair.rejected_ids));
    let mut stopper = StopAfter { step: 4, gracefully: false };
    toy::trainer(&mut toy::model(), &config, killed.path(), &mut stopper).prefer_pairs(&all, &wrong, &dpo).unwrap_err();
    let (again, resumed) = trained(&config, killed.path());
    assert_eq!((resumed.resumed_from, resumed.steps, resumed.best_step), (Some(4), 6, Some(0)));
    assert_eq!(toy::bits(&again), toy::bits(&model));
}
