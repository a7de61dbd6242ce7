//! Verifiers: what they learn, of which problems, and with which trunk.

use crate::toy;
use espalier_model::Transformer;
use espalier_trainer::{
    Layout, LoraConfig, Precision, SiblingStates, TrainConfig, TrainSummary, TrainerError, Trunk, VerifierObjective,
    VerifierRules,
};
use std::path::Path;
use tch::{Device, Kind, Tensor};

pub const RULES: VerifierRules = VerifierRules {
    heads: 1,
    trunk: Trunk::Trained,
    objective: VerifierObjective::Ranking,
    regression_weight: 1.0,
    seed: 3,
};

/// Three steps after each of some states. The one with the token 2 is best, that with 1 is worst; a step's other tokens, and
/// which comes first, say nothing.
pub fn siblings(count: usize) -> Vec<SiblingStates> {
    let noise = |i: usize, j: usize| ((i * 7919 + j * 104_729 + i * j * 31 + 13) % 9973 % 18) as u32 + 4;
    (0..count)
        .map(|i| {
            let ranks = [[2, 1, 3], [1, 3, 2], [3, 2, 1], [2, 3, 1]][i % 4];
            let q = |token: u32| [0.0, -0.8, 0.9, 0.1][token as usize];
            let place = |token: u32| ranks.iter().position(|&other| other == token).unwrap();
            SiblingStates {
                problem: i / 2,
                prompt_ids: (0..3 + i % 5).map(|j| noise(i / 2, j)).collect(),
                steps: ranks.iter().map(|&token| vec![noise(i, token as usize), token, noise(i, 50)]).collect(),
                q: ranks.iter().map(|&token| q(token)).collect(),
                visits: ranks.iter().map(|&token| token + 1).collect(),
                pairs: vec![[place(2), place(3)], [place(3), place(1)], [place(2), place(1)]],
            }
        })
        .collect()
}

pub fn train(
    model: &mut Transformer,
    data: &[SiblingStates],
    rules: VerifierRules,
    config: &TrainConfig,
    folder: &Path,
) -> Result<TrainSummary, TrainerError> {
    toy::trainer(model, config, folder, &mut ()).verifier(data, rules)
}

/// The values that the heads of a model give the end of a sequence, one sequence at a time.
fn values(model: &Transformer, ids: &[u32]) -> Vec<f64> {
    let _guard = tch::no_grad_guard();
    let n = ids.len() as i64;
    let tokens = Tensor::from_slice(&ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>()).view([1, n]);
    let mask = Tensor::full([n, n], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(1).view([1, 1, n, n]);
    let hidden = model.hidden(&tokens, &Tensor::arange(n, (Kind::Int64, Device::Cpu)).view([1, n]), &mask);
    Vec::try_from(model.head_values(&hidden).to_kind(Kind::Double).select(1, n - 1).view([-1])).unwrap()
}

fn step_values(model: &Transformer, siblings: &SiblingStates) -> Vec<f64> {
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    siblings.steps.iter().map(|step| mean(values(model, &[&siblings.prompt_ids[..], step].concat()))).collect()
}

/// The share of pairs that a model ranks right.
fn accuracy(model: &Transformer, data: &[SiblingStates]) -> f64 {
    let right = data.iter().flat_map(|siblings| {
        let values = step_values(model, siblings);
        siblings.pairs.iter().map(move |&[better, worse]| values[better] > values[worse]).collect::<Vec<_>>()
    });
    let right: Vec<bool> = right.collect();
    right.iter().filter(|&&right| right).count() as f64 / right.len() as f64
}

#[test]
fn a_ranking_that_can_be_learnt_is_learnt_for_states_that_were_not_seen() {
    let all = siblings(240);
    let (held_out, seen) = all.split_at(32);
    let config = TrainConfig { epochs: 6, batch_size: 8, ..toy::config() };
    for objective in [VerifierObjective::Ranking, VerifierObjective::Regression, VerifierObjective::Both] {
        for heads in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let mut model = toy::model();
            let rules = VerifierRules { objective, heads, ..RULES };
            let summary = train(&mut model, seen, rules, &config, folder.path()).unwrap();
            assert_eq!((summary.examples, model.heads()), (208, heads));
            let found = accuracy(&model, held_out);
            assert!(found > 0.95, "{objective}, {heads} heads: {found}");
            let learnt = toy::column(folder.path(), "ranking/accuracies");
            assert!(learnt[learnt.len() - 1] > 0.95, "{learnt:?}");
        }
    }
}

#[test]
fn the_loss_is_that_of_the_formula_in_every_layout() {
    // A fresh head of zeros gives every state 0: a pair's loss is ln 2, a state's square that of its Q.
    let data = siblings(9);
    let squares: f64 =
        data.iter().flat_map(|of| of.q.iter().zip(&of.visits)).map(|(q, n)| f64::from(q * q) * f64::from(*n)).sum();
    let visits: u32 = data.iter().flat_map(|of| &of.visits).sum();
    let expected = std::f64::consts::LN_2 + 0.5 * squares / f64::from(visits);
    let rules = VerifierRules { objective: VerifierObjective::Both, regression_weight: 0.5, ..RULES };
    let mut models = Vec::new();
    for (layout, micro_batch_tokens) in [(Layout::Packed, 1_000_000), (Layout::Packed, 30), (Layout::Padded, 1_000_000)]
    {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { epochs: 4, batch_size: 64, layout, micro_batch_tokens, ..toy::config() };
        let mut model = toy::model();
        let summary = train(&mut model, &data, rules, &config, folder.path()).unwrap();
        let first = toy::column(folder.path(), "loss")[0];
        assert!((first - expected).abs() < 1e-5, "{layout:?}: {first}, expected {expected}");
        models.push((model, summary.tokens));
    }
    assert!(models[1..].iter().all(|(model, _)| toy::distance(model, &models[0].0) < 1e-4));
    // Padded, each of three steps of three tokens follows a copy of its prompt; packed, a prompt is read once.
    let prompts: usize = data.iter().map(|of| of.prompt_ids.len()).sum();
    assert_eq!(models[2].1, 4 * (3 * prompts + 81) as u64);
    assert!(models[0].1 <= 4 * (prompts + 81) as u64, "{}", models[0].1);
}

#[test]
fn a_frozen_trunk_keeps_its_bits_and_a_trained_one_does_not() {
    let (data, config) = (siblings(20), TrainConfig { epochs: 3, ..toy::config() });
    let outcome = |trunk: Trunk, config: &TrainConfig| {
        let folder = tempfile::tempdir().unwrap();
        let mut model = toy::model();
        // The policy's own head has no part in it.
        model.set_value_head(Some(Tensor::ones([32], (Kind::Float, Device::Cpu)))).unwrap();
        let rules = VerifierRules { trunk, objective: VerifierObjective::Both, ..RULES };
        train(&mut model, &data, rules, config, folder.path()).unwrap();
        (model, toy::column(folder.path(), "loss"))
    };
    let (frozen, losses) = outcome(Trunk::Frozen, &config);
    assert_eq!(toy::bits(&frozen), toy::bits(&toy::model()));
    assert!(losses[losses.len() - 1] < 0.95 * losses[0], "{losses:?}");
    let (trained, of_trained) = outcome(Trunk::Trained, &config);
    assert_ne!(toy::bits(&trained), toy::bits(&toy::model()));
    // At first both see the same states, and a head of zeros.
    assert!((losses[0] - of_trained[0]).abs() < 1e-6, "{} {}", losses[0], of_trained[0]);
    let lora = LoraConfig { rank: 2, alpha: 4.0, targets: vec!["q_proj".into()] };
    let (adapted, _) = outcome(Trunk::Trained, &TrainConfig { lora, ..config.clone() });
    let changed = toy::bits(&adapted).into_iter().zip(toy::bits(&toy::model())).filter(|(a, b)| a != b);
    assert!(changed.map(|((name, _), _)| name).all(|name| name.contains("q_proj")));
    let half = TrainConfig { precision: Precision::Bfloat16, ..config };
    assert!(outcome(Trunk::Trained, &half).1.last().unwrap() < &(0.95 * losses[0]));
}

#[test]
fn heads_of_an_ensemble_differ_and_agree_on_what_they_have_seen() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    let data = siblings(40);
    let rules = VerifierRules { heads: 4, objective: VerifierObjective::Both, ..RULES };
    let config = TrainConfig { epochs: 8, batch_size: 8, ..toy::config() };
    train(&mut model, &data, rules, &config, folder.path()).unwrap();
    let heads = model.value_head().unwrap();
    assert_eq!(heads.size(), [4, 32]);
    for one in 0..4 {
        for other in 0..one {
            let distance = (heads.get(one) - heads.get(other)).abs().max().double_value(&[]);
            assert!(distance > 1e-2, "heads {one} and {other}: {distance}");
        }
    }
    for siblings in &data[..8] {
        for (step, &q) in siblings.steps.iter().zip(&siblings.q) {
            let values = values(&model, &[&siblings.prompt_ids[..], step].concat());
            assert!(values.iter().all(|value| (value - f64::from(q)).abs() < 0.5), "{values:?}, {q}");
        }
    }
}

#[test]
fn what_cannot_be_learnt_from_is_listed_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = siblings(7);
    data[0].q[1] = f32::NAN;
    data[1].visits.pop();
    data[2].pairs[0] = [0, 3];
    data[3].steps[0].clear();
    data[4].prompt_ids.clear();
    data[5].steps[1] = vec![1; toy::CONTEXT];
    let summary = train(&mut toy::model(), &data, RULES, &toy::config(), folder.path()).unwrap();
    let reasons: Vec<String> = summary.skipped.iter().map(|skipped| skipped.reason.to_string()).collect();
    assert_eq!(
        reasons[..5],
        [
            "its q is NaN",
            "its visits do not fit its tokens",
            "its pairs do not fit its tokens",
            "it has no token to learn",
            "its prompt is empty"
        ]
    );
    assert!(reasons[5].ends_with("exceed the context of 32"), "{}", reasons[5]);
    assert_eq!(summary.examples, 1);

    let refused = |rules: VerifierRules, config: &TrainConfig| {
        let folder = tempfile::tempdir().unwrap();
        train(&mut toy::model(), &siblings(3), rules, config, folder.path()).unwrap_err().to_string()
    };
    assert_eq!(refused(VerifierRules { heads: 0, ..RULES }, &toy::config()), "heads is 0, but must be at least 1");
    assert!(
        refused(VerifierRules { regression_weight: 0.0, ..RULES }, &toy::config()).contains("regression_weight is 0")
    );
    let lora = TrainConfig { lora: LoraConfig { rank: 2, ..LoraConfig::default() }, ..toy::config() };
    let frozen = VerifierRules { trunk: Trunk::Frozen, ..RULES };
    assert_eq!(refused(frozen, &lora), "lora.rank is 2, but must be 0 with a frozen trunk");

    // The value stage trains one head.
    let mut model = toy::model();
    train(&mut model, &siblings(3), VerifierRules { heads: 2, ..RULES }, &toy::config(), folder.path()).unwrap_err();
    let other = tempfile::tempdir().unwrap();
    train(&mut model, &siblings(3), VerifierRules { heads: 2, ..RULES }, &toy::config(), other.path()).unwrap();
    let third = tempfile::tempdir().unwrap();
    let error = toy::trainer(&mut model, &toy::config(), third.path(), &mut ()).value(&toy::valued(4)).unwrap_err();
    assert!(error.to_string().contains("2 value heads"), "{error}");
}
