//! A tiny model and tiny examples.

use espalier_model::{ModelConfig, Transformer};
use espalier_trainer::{Observer, PreferencePair, SftExample, TrainConfig, Trainer, TrainerError, ValueExample};
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

pub const VOCAB: u32 = 24;
pub const CONTEXT: usize = 32;

pub fn model() -> Transformer {
    // Tests run side by side, and tensors this small gain nothing from a second thread.
    tch::set_num_threads(1);
    let config = ModelConfig::llama(VOCAB as usize, 32, 64, 2, 2, 1, CONTEXT).unwrap();
    Transformer::init(&config, 7, Device::Cpu).unwrap()
}

pub fn trainer<'a>(
    model: &'a mut Transformer,
    config: &'a TrainConfig,
    folder: &'a Path,
    observer: &'a mut dyn Observer,
) -> Trainer<'a> {
    Trainer { model, config, folder, observer }
}

pub fn config() -> TrainConfig {
    TrainConfig { learning_rate: 1e-2, batch_size: 4, epochs: 5, save_every_s: 1e9, ..TrainConfig::default() }
}

/// A deterministic number below `below`.
fn noise(i: usize, j: usize, below: usize) -> usize {
    (i * 7919 + j * 104_729 + i * j * 31 + 13) % 9973 % below
}

pub fn sequences(count: usize) -> Vec<SftExample> {
    (0..count)
        .map(|i| {
            let length = 8 + noise(i, 0, 9);
            // The first two tokens say which sequence it is, so that each can be learnt by heart.
            let mut ids = vec![(i / 16) as u32, (i % 16) as u32];
            ids.extend((2..length).map(|j| noise(i, j, VOCAB as usize) as u32));
            SftExample { ids, prompt_len: 3 }
        })
        .collect()
}

pub fn pairs(count: usize) -> Vec<PreferencePair> {
    (0..count)
        .map(|i| {
            let ids = |from: usize, length: usize| {
                (from..from + length).map(|j| noise(i, j, VOCAB as usize) as u32).collect::<Vec<_>>()
            };
            let mut rejected_ids = ids(200, 1 + noise(i, 3, 6));
            rejected_ids[0] = 1;
            let mut chosen_ids = ids(100, 1 + noise(i, 2, 6));
            chosen_ids[0] = 2;
            PreferencePair {
                prompt_ids: ids(0, 3 + noise(i, 1, 7)),
                chosen_ids,
                rejected_ids,
                q_chosen: 0.1 + 0.1 * noise(i, 4, 8) as f32,
                q_rejected: -0.1 - 0.1 * noise(i, 5, 8) as f32,
                visits_chosen: 1 + noise(i, 6, 50) as u32,
                visits_rejected: 1 + noise(i, 7, 50) as u32,
                weight: 1.0,
                q_scale: 1.0,
                reference: None,
            }
        })
        .collect()
}

/// Values that a state's last token decides.
pub fn valued(count: usize) -> Vec<ValueExample> {
    (0..count)
        .map(|i| {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let mut ids = sequences(i + 1)[i].ids.clone();
            ids[0] = 3 + (i % 2) as u32;
            ids[2] = 5 + (i % 2) as u32;
            ValueExample { ids, step_ends: vec![1, 3], targets: vec![0.4 * sign, 0.7 * sign] }
        })
        .collect()
}

/// All parameters as bits, by name.
pub fn bits(model: &Transformer) -> Vec<(String, Vec<u32>)> {
    model
        .parameters()
        .map(|(name, tensor)| {
            let values = Vec::<f32>::try_from(tensor.detach().reshape([-1])).unwrap();
            (name.to_owned(), values.into_iter().map(f32::to_bits).collect())
        })
        .collect()
}

/// The largest difference between two models' parameters.
pub fn distance(a: &Transformer, b: &Transformer) -> f64 {
    let pairs = a.parameters().zip(b.parameters());
    pairs.map(|((_, x), (_, y))| (x - y).abs().max().double_value(&[])).fold(0.0, f64::max)
}

/// log pi of each token of `ids` after the first `prompt_len`, one sequence at a time.
pub fn logprob(model: &Transformer, ids: &[u32], prompt_len: usize) -> f64 {
    let _guard = tch::no_grad_guard();
    let n = ids.len() as i64;
    let tokens = Tensor::from_slice(&ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>()).view([1, n]);
    let mask = Tensor::full([n, n], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(1).view([1, 1, n, n]);
    let hidden = model.hidden(&tokens, &Tensor::arange(n, (Kind::Int64, Device::Cpu)).view([1, n]), &mask);
    let all = model.logits(&hidden).log_softmax(-1, Kind::Double);
    (prompt_len..ids.len()).map(|i| all.double_value(&[0, i as i64 - 1, i64::from(ids[i])])).sum()
}

/// The lines of `metrics.jsonl`.
pub fn metrics(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One column of `metrics.jsonl`.
pub fn column(folder: &Path, name: &str) -> Vec<f64> {
    metrics(folder).iter().map(|line| line[name].as_f64().unwrap()).collect()
}

/// Stops after a step, gracefully or as if the process had died.
pub struct StopAfter {
    pub step: u64,
    pub gracefully: bool,
}

impl Observer for StopAfter {
    fn step(&mut self, step: u64, _total: u64, _loss: f64) -> Result<(), TrainerError> {
        if step < self.step {
            return Ok(());
        }
        Err(if self.gracefully {
            TrainerError::Stopped { step }
        } else {
            TrainerError::Io { path: "killed".into(), source: std::io::Error::other("killed") }
        })
    }
}
