//! How fast a stage trains: `throughput [sft|packed|padded] [layers] [hidden] [micro-batch tokens] [threads]`.

use espalier_model::{ModelConfig, Transformer};
use espalier_trainer::{
    Layout, Objective, PreferencePair, SftExample, TrainConfig, TrainSummary, train_preference, train_sft,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

const VOCAB: usize = 512;
const EXAMPLES: usize = 640;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| given.get(i).map_or(Ok(default), |text| text.parse());
    let stage = given.first().map_or("sft", String::as_str);
    let (layers, hidden) = (number(1, 6)?, number(2, 128)?);
    tch::set_num_threads(i32::try_from(number(4, 2)?)?);
    let shape = ModelConfig::llama(VOCAB, hidden, 3 * hidden, layers, hidden / 32, hidden / 64, 512)?;
    let mut model = Transformer::init(&shape, 0, tch::Device::Cpu)?;
    let size: usize = model.parameters().map(|(_, tensor)| tensor.numel()).sum();
    let config = TrainConfig {
        learning_rate: 1e-3,
        epochs: 2,
        micro_batch_tokens: number(3, TrainConfig::default().micro_batch_tokens)?,
        layout: if stage == "padded" { Layout::Padded } else { Layout::Packed },
        ..TrainConfig::default()
    };
    let folder = tempfile::tempdir()?;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut ids = |least: u32, range: u32| -> Vec<u32> {
        let length = least + random.next_u32() % range;
        (0..length).map(|_| random.next_u32() % VOCAB as u32).collect()
    };
    let summary: TrainSummary = if stage == "sft" {
        let data: Vec<SftExample> = (0..EXAMPLES).map(|_| SftExample { ids: ids(60, 80), prompt_len: 30 }).collect();
        train_sft(&mut model, &data, &config, folder.path(), &mut ())?
    } else {
        let pair = |_| PreferencePair {
            prompt_ids: ids(40, 80),
            chosen_ids: ids(10, 20),
            rejected_ids: ids(10, 20),
            q_chosen: 0.5,
            q_rejected: -0.5,
            visits_chosen: 10,
            visits_rejected: 5,
            weight: 1.0,
            q_scale: 1.0,
        };
        let data: Vec<PreferencePair> = (0..EXAMPLES).map(pair).collect();
        let objective = Objective::new("step_apo", &BTreeMap::new())?;
        train_preference(&mut model, &data, &objective, &config, folder.path(), &mut ())?
    };
    // 2 operations a parameter and token forwards, 4 backwards; attention comes on top.
    let gflops = 6.0 * size as f64 * summary.tokens_per_s / 1e9;
    println!(
        "{stage}: {size} parameters, {} tokens, {:.0} tokens/s, {:.0} examples/s, {gflops:.1} GFLOP/s",
        summary.tokens,
        summary.tokens_per_s,
        (EXAMPLES * config.epochs as usize) as f64 * summary.tokens_per_s / summary.tokens as f64,
    );
    Ok(())
}
