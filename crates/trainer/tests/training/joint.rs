//! Imitation and value regression at once.

use crate::toy;
use espalier_model::Transformer;
use espalier_trainer::{JointExample, Layout, SftExample, TrainConfig};
use tch::{Device, Kind, Tensor};

/// Paths of which two thirds are imitated and all are valued, each value as its second token says.
fn data(count: usize) -> Vec<JointExample> {
    let valued = toy::valued(count).into_iter();
    valued
        .enumerate()
        .flat_map(|(i, states)| {
            // The last token's value cannot be learnt, and must not be asked for: it is not fed.
            let mut states = states;
            states.step_ends.push(states.ids.len() as u32);
            states.targets.push(99.0);
            let path = (i % 3 > 0).then(|| SftExample { ids: states.ids.clone(), prompt_len: 1 });
            path.map(JointExample::Path).into_iter().chain([JointExample::States(states)])
        })
        .collect()
}

fn value(model: &Transformer, ids: &[u32]) -> f64 {
    let n = ids.len() as i64;
    let tokens = Tensor::from_slice(&ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>()).view([1, n]);
    let mask = Tensor::full([n, n], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(1).view([1, 1, n, n]);
    let hidden = model.hidden(&tokens, &Tensor::arange(n, (Kind::Int64, Device::Cpu)).view([1, n]), &mask);
    model.values(&hidden).double_value(&[0, n - 1])
}

#[test]
fn the_loss_is_that_of_the_tokens_and_that_of_the_states() {
    let data = data(12);
    let (mut nll, mut tokens, mut squares, mut states) = (0.0, 0, 0.0, 0);
    for example in &data {
        match example {
            JointExample::Path(path) => {
                nll -= toy::logprob(&toy::model(), &path.ids, path.prompt_len);
                tokens += path.ids.len() - path.prompt_len;
            }
            // A head of zeros values every state at 0.
            JointExample::States(example) => {
                squares += example.targets[..2].iter().map(|&target| f64::from(target).powi(2)).sum::<f64>();
                states += 2;
            }
        }
    }
    let expected = nll / tokens as f64 + 0.5 * squares / f64::from(states);
    let mut models = Vec::new();
    for (layout, micro_batch_tokens) in [(Layout::Packed, 1_000_000), (Layout::Packed, 40), (Layout::Padded, 1_000_000)]
    {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { epochs: 3, batch_size: 64, layout, micro_batch_tokens, ..toy::config() };
        let mut model = toy::model();
        let summary = toy::trainer(&mut model, &config, folder.path(), &mut ()).joint(&data, 0.5).unwrap();
        assert!(summary.skipped.is_empty());
        let first = toy::column(folder.path(), "loss")[0];
        assert!((first - expected).abs() < 1e-5, "{layout:?}: {first}, expected {expected}");
        models.push((model, summary.tokens));
    }
    assert!(models[1..].iter().all(|(model, _)| toy::distance(model, &models[0].0) < 1e-4));
    // A path that is both imitated and valued is read once.
    let distinct: usize = toy::valued(12).iter().map(|example| example.ids.len() - 1).sum();
    assert!(models[0].1 <= 3 * distinct as u64 && models[2].1 > 3 * distinct as u64);
}

#[test]
fn policy_and_head_are_trained_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    let data = data(12);
    let config = TrainConfig { epochs: 80, batch_size: 64, ..toy::config() };
    toy::trainer(&mut model, &config, folder.path(), &mut ()).joint(&data, 1.0).unwrap();
    for example in &data {
        match example {
            JointExample::Path(path) => {
                let per_token = toy::logprob(&model, &path.ids, 2) / (path.ids.len() - 2) as f64;
                assert!(per_token > -0.7, "{per_token}");
            }
            JointExample::States(states) => {
                let value = value(&model, &states.ids[..3]);
                assert!((value - f64::from(states.targets[1])).abs() < 0.2, "{value}, {:?}", states.targets);
            }
        }
    }
    assert!(toy::column(folder.path(), "value/absolute_error").last().unwrap() < &0.1);
}

#[test]
fn a_weight_of_nothing_is_refused_and_states_without_a_token_after_them_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = data(3);
    let error = toy::trainer(&mut toy::model(), &toy::config(), folder.path(), &mut ()).joint(&data, 0.0).unwrap_err();
    assert!(error.to_string().contains("value_weight") && error.to_string().contains('0'), "{error}");
    if let JointExample::States(states) = &mut data[0] {
        states.ids.truncate(1);
        (states.step_ends, states.targets) = (vec![1], vec![0.5]);
    }
    let summary = toy::trainer(&mut toy::model(), &toy::config(), folder.path(), &mut ()).joint(&data, 1.0).unwrap();
    assert_eq!(summary.skipped.len(), 1);
    assert_eq!(summary.skipped[0].row, 0);
}
