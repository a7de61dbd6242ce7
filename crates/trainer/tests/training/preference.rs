//! Preference training on pairs and on lists.

use crate::toy;
use espalier_trainer::{Layout, Objective, PreferencePair, SiblingList, SkipReason, TrainConfig, TrainerError};
use std::path::Path;

fn objective(name: &str, parameters: &[(&str, f64)]) -> Objective {
    Objective::new(name, &parameters.iter().map(|&(name, value)| (name.to_owned(), value)).collect()).unwrap()
}

/// Trains the toy model and returns one column of its metrics.
fn column(data: &[PreferencePair], objective: &Objective, config: &TrainConfig, name: &str) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    toy::trainer(&mut toy::model(), config, folder.path(), &mut ()).prefer_pairs(data, &[], objective).unwrap();
    toy::column(folder.path(), name)
}

#[test]
fn step_apo_learns_which_step_is_better() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    let config = TrainConfig { epochs: 10, learning_rate: 3e-3, ..toy::config() };
    let data = toy::pairs(16);
    toy::trainer(&mut model, &config, folder.path(), &mut ())
        .prefer_pairs(&data, &[], &objective("step_apo", &[]))
        .unwrap();
    let margins = toy::column(folder.path(), "rewards/margins");
    // At first the policy is its own reference.
    assert!(margins[0].abs() < 1e-5, "{}", margins[0]);
    assert!(margins[margins.len() - 1] > 1.0, "{margins:?}");
    assert_eq!(toy::column(folder.path(), "rewards/accuracies").last(), Some(&1.0));
    let fresh = toy::model();
    let gain = |pair: &PreferencePair| {
        let at =
            |model: &_, step: &[u32]| toy::logprob(model, &[&pair.prompt_ids, step].concat(), pair.prompt_ids.len());
        let ratio = |step: &[u32]| at(&model, step) - at(&fresh, step);
        ratio(&pair.chosen_ids) - ratio(&pair.rejected_ids)
    };
    assert!(data.iter().all(|pair| gain(pair) > 1.0));
}

#[test]
fn log_probabilities_are_sums_over_the_steps_own_tokens() {
    let data = toy::pairs(4);
    let model = toy::model();
    for layout in [Layout::Packed, Layout::Padded] {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { epochs: 1, layout, ..toy::config() };
        toy::trainer(&mut toy::model(), &config, folder.path(), &mut ())
            .prefer_pairs(&data, &[], &objective("dpo", &[]))
            .unwrap();
        let mean = |step: fn(&PreferencePair) -> &[u32]| {
            let of = |p: &PreferencePair| toy::logprob(&model, &[&p.prompt_ids, step(p)].concat(), p.prompt_ids.len());
            data.iter().map(of).sum::<f64>() / data.len() as f64
        };
        let chosen = mean(|pair| &pair.chosen_ids);
        let rejected = mean(|pair| &pair.rejected_ids);
        assert!((toy::column(folder.path(), "logps/chosen")[0] - chosen).abs() < 1e-4);
        assert!((toy::column(folder.path(), "logps/rejected")[0] - rejected).abs() < 1e-4);
    }
}

#[test]
fn packed_rows_train_as_padded_ones() {
    let data = toy::pairs(24);
    let trained = |layout| {
        let folder = tempfile::tempdir().unwrap();
        let mut model = toy::model();
        let config = TrainConfig { epochs: 2, batch_size: 6, learning_rate: 1e-3, layout, ..toy::config() };
        let config = TrainConfig { order: Some(espalier_trainer::Order::AsGiven), ..config };
        toy::trainer(&mut model, &config, folder.path(), &mut ())
            .prefer_pairs(&data, &[], &objective("step_apo", &[]))
            .unwrap();
        let (losses, norms) = (toy::column(folder.path(), "loss"), toy::column(folder.path(), "grad_norm"));
        (model, losses, norms)
    };
    let (packed, padded) = (trained(Layout::Packed), trained(Layout::Padded));
    assert!(packed.1.iter().zip(&padded.1).all(|(a, b)| (a - b).abs() < 1e-5));
    assert!(packed.2.iter().zip(&padded.2).all(|(a, b)| (a - b).abs() < 1e-4 * b));
    assert!(toy::distance(&packed.0, &padded.0) < 1e-4, "{}", toy::distance(&packed.0, &padded.0));
}

#[test]
fn without_the_advantage_step_apo_is_step_dpo() {
    let (data, config) = (toy::pairs(12), toy::config());
    let apo = objective("step_apo", &[("alpha", 0.0), ("beta", 0.5)]);
    let dpo = objective("step_dpo", &[("beta", 0.5)]);
    assert_eq!(column(&data, &apo, &config, "loss"), column(&data, &dpo, &config, "loss"));
    let with_advantage = objective("step_apo", &[("beta", 0.5)]);
    assert_ne!(column(&data, &with_advantage, &config, "loss"), column(&data, &dpo, &config, "loss"));
}

#[test]
fn the_advantage_of_a_solution_is_scaled() {
    let one = toy::pairs(1);
    let config = TrainConfig { epochs: 1, ..toy::config() };
    let scaled = PreferencePair { q_scale: 0.3, ..one[0].clone() };
    let loss = column(&[scaled], &objective("step_apo", &[]), &config, "loss")[0];
    // Before the first step h = 0, so the loss is softplus(0.3 (Q_w - Q_l)).
    let margin = 0.3 * f64::from(one[0].q_chosen - one[0].q_rejected);
    assert!((loss - margin.exp().ln_1p()).abs() < 1e-5);
}

#[test]
fn weights_multiply_the_loss_and_the_mean_is_over_the_pairs() {
    let config = TrainConfig { epochs: 1, ..toy::config() };
    let mut data = toy::pairs(4);
    let dpo = objective("dpo", &[]);
    data.iter_mut().zip([0.5, 2.0, 0.0, 1.0]).for_each(|(pair, weight)| pair.weight = weight);
    let loss = column(&data, &dpo, &config, "loss")[0];
    assert!((loss - 3.5 / 4.0 * std::f64::consts::LN_2).abs() < 1e-5);
}

#[test]
fn the_likelihood_term_composes_with_any_loss() {
    let (data, config) = (toy::pairs(8), TrainConfig { learning_rate: 1e-3, ..toy::config() });
    let inside = column(&data, &objective("cpo", &[("sft_weight", 0.7)]), &config, "loss");
    let outside = objective("cpo", &[("sft_weight", 0.0)]).with_sft_weight(0.7);
    for (a, b) in inside.iter().zip(column(&data, &outside, &config, "loss")) {
        assert!((a - b).abs() < 1e-5 * a.abs());
    }
    let folder = tempfile::tempdir().unwrap();
    let bad = objective("dpo", &[]).with_sft_weight(-1.0);
    let error =
        toy::trainer(&mut toy::model(), &config, folder.path(), &mut ()).prefer_pairs(&data, &[], &bad).unwrap_err();
    assert!(error.to_string().starts_with("parameter sft_weight of objective dpo is -1"));
}

#[test]
fn every_objective_on_pairs_trains() {
    let config = TrainConfig { epochs: 1, learning_rate: 1e-4, ..toy::config() };
    for entry in espalier_trainer::objectives::REGISTRY.iter().filter(|entry| !entry.over_lists) {
        let losses = column(&toy::pairs(8), &objective(entry.about.name, &[]), &config, "loss");
        assert_eq!(losses.len(), 2, "{}", entry.about.name);
    }
}

#[test]
fn metrics_have_the_names_of_trl() {
    let folder = tempfile::tempdir().unwrap();
    let trained = |name: &str, folder: &Path| {
        let config = TrainConfig { epochs: 1, ..toy::config() };
        toy::trainer(&mut toy::model(), &config, folder, &mut ())
            .prefer_pairs(&toy::pairs(4), &[], &objective(name, &[]))
            .unwrap();
        toy::metrics(folder).remove(0)
    };
    let line = trained("step_apo", folder.path());
    for name in ["chosen", "rejected", "margins", "accuracies"] {
        assert!(line[format!("rewards/{name}")].is_number(), "{name}");
    }
    for name in ["logps/chosen", "logps/rejected", "ranking/policy", "ranking/reference", "displacement/chosen"] {
        assert!(line[name].is_number(), "{name}");
    }
    // Without a reference nothing is said about one, and none is computed.
    let folder = tempfile::tempdir().unwrap();
    let line = trained("simpo", folder.path());
    assert!(line["ranking/policy"].is_number() && line["ranking/reference"].is_null());
}

#[test]
fn pairs_that_cannot_be_trained_on_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = toy::pairs(6);
    data[0].q_chosen = f32::NAN;
    data[1].rejected_ids.clear();
    data[2].prompt_ids.clear();
    data[3].chosen_ids = vec![1; toy::CONTEXT];
    data[4].weight = f32::INFINITY;
    let config = toy::config();
    let summary = toy::trainer(&mut toy::model(), &config, folder.path(), &mut ())
        .prefer_pairs(&data, &[], &objective("dpo", &[]))
        .unwrap();
    assert_eq!(summary.examples, 1);
    assert_eq!(summary.skipped.iter().map(|skipped| skipped.row).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(summary.skipped[0].reason.to_string(), "its q_chosen is NaN");
    assert_eq!(summary.skipped[1].reason, SkipReason::EmptyStep);
    assert_eq!(summary.skipped[2].reason, SkipReason::EmptyPrompt);
    // The summary is stored as JSON, which knows no NaN.
    let stored = serde_json::to_string(&summary).unwrap();
    let read: espalier_trainer::TrainSummary = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.skipped, summary.skipped);
}

fn lists(count: usize) -> Vec<SiblingList> {
    toy::pairs(count)
        .into_iter()
        .map(|pair| {
            let steps = vec![pair.rejected_ids.clone(), pair.chosen_ids.clone(), vec![5, 6, 7], vec![8]];
            SiblingList {
                prompt_ids: pair.prompt_ids,
                steps,
                q: vec![-0.8, 0.9, 0.2, -0.1],
                visits: vec![1; 4],
                weight: 1.0,
                q_scale: 1.0,
            }
        })
        .collect()
}

#[test]
fn losses_over_lists_raise_the_best_sibling() {
    for name in ["plackett_luce", "lipo_lambda", "tpo"] {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { epochs: 10, learning_rate: 3e-3, ..toy::config() };
        let objective = objective(name, &[]);
        toy::trainer(&mut toy::model(), &config, folder.path(), &mut ())
            .prefer_lists(&lists(8), &[], &objective)
            .unwrap();
        let margins = toy::column(folder.path(), "rewards/margins");
        assert!(margins[0].abs() < 1e-5 && margins[margins.len() - 1] > 0.3, "{name}: {margins:?}");
    }
}

#[test]
fn lists_of_two_are_pairs() {
    let data = toy::pairs(8);
    let config = TrainConfig { learning_rate: 1e-3, ..toy::config() };
    let lists: Vec<SiblingList> = data
        .iter()
        .map(|pair| SiblingList {
            prompt_ids: pair.prompt_ids.clone(),
            steps: vec![pair.chosen_ids.clone(), pair.rejected_ids.clone()],
            q: vec![pair.q_chosen, pair.q_rejected],
            visits: vec![pair.visits_chosen, pair.visits_rejected],
            weight: 1.0,
            q_scale: 1.0,
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let plackett_luce = objective("plackett_luce", &[]);
    toy::trainer(&mut toy::model(), &config, folder.path(), &mut ()).prefer_lists(&lists, &[], &plackett_luce).unwrap();
    let pairs = column(&data, &objective("dpo", &[]), &config, "loss");
    for (a, b) in toy::column(folder.path(), "loss").iter().zip(pairs) {
        assert!((a - b).abs() < 1e-6);
    }
}

#[test]
fn a_loss_takes_what_it_was_made_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = toy::config();
    let list = objective("lipo_lambda", &[]);
    let error =
        toy::trainer(&mut toy::model(), &config, folder.path(), &mut ()).prefer_pairs(&toy::pairs(2), &[], &list);
    assert!(matches!(error, Err(TrainerError::WrongShape { objective: "lipo_lambda", .. })));
    let error = toy::trainer(&mut toy::model(), &config, folder.path(), &mut ()).prefer_lists(
        &lists(2),
        &[],
        &objective("dpo", &[]),
    );
    assert!(matches!(error, Err(TrainerError::WrongShape { objective: "dpo", .. })));
}
