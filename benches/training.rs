//! How fast each stage trains, on made-up examples of the embedded run's lengths.
//!
//! `cargo bench --bench training` prints one line for supervised training and one for each layout of preference pairs.

#![allow(missing_docs, reason = "a program")]

use espalier_model::{ModelConfig, Transformer};
use espalier_trainer::{Layout, Objective, PreferencePair, SftExample, TrainConfig, TrainSummary, Trainer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::error::Error;

const VOCAB: usize = 512;
const EXAMPLES: usize = 640;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get();
    tch::set_num_threads(threads as i32);
    for (stage, layout) in [("sft", Layout::Packed), ("step_apo", Layout::Packed), ("step_apo", Layout::Padded)] {
        let shape = ModelConfig::llama(VOCAB, 128, 384, 4, 4, 2, 512)?;
        let mut model = Transformer::init(&shape, 0, tch::Device::Cpu)?;
        let parameters: usize = model.parameters().map(|(_, tensor)| tensor.numel()).sum();
        let config = TrainConfig { learning_rate: 1e-3, layout, ..TrainConfig::default() };
        let summary = train(stage, &mut model, &config)?;
        // 2 operations a parameter and token forwards, 4 backwards; attention comes on top.
        let gflops = 6.0 * parameters as f64 * summary.tokens_per_s / 1e9;
        println!(
            "training: {:.0} tokens/s, {:.0} examples/s, {gflops:.0} GFLOP/s ({stage}, {layout:?}, {:.2} million \
             parameters, float32, {threads} threads, {} steps of {} examples)",
            summary.tokens_per_s,
            EXAMPLES as f64 * summary.tokens_per_s / summary.tokens as f64,
            parameters as f64 / 1e6,
            summary.steps,
            config.batch_size,
        );
    }
    Ok(())
}

fn train(stage: &str, model: &mut Transformer, config: &TrainConfig) -> Result<TrainSummary, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let trainer = Trainer { model, config, folder: folder.path(), observer: &mut () };
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut ids = |least: u32, range: u32| -> Vec<u32> {
        let length = least + random.next_u32() % range;
        (0..length).map(|_| random.next_u32() % VOCAB as u32).collect()
    };
    if stage == "sft" {
        let data: Vec<SftExample> = (0..EXAMPLES).map(|_| SftExample { ids: ids(100, 100), prompt_len: 50 }).collect();
        return Ok(trainer.sft(&data)?);
    }
    let pair = |_| PreferencePair {
        prompt_ids: ids(60, 80),
        chosen_ids: ids(10, 20),
        rejected_ids: ids(10, 20),
        q_chosen: 0.5,
        q_rejected: -0.5,
        visits_chosen: 10,
        visits_rejected: 5,
        weight: 1.0,
        q_scale: 1.0,
        reference: None,
    };
    let data: Vec<PreferencePair> = (0..EXAMPLES).map(pair).collect();
    let objective = Objective::new(stage, &BTreeMap::new())?;
    Ok(trainer.prefer_pairs(&data, &[], &objective)?)
}
