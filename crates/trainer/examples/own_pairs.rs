//! Preference training on pairs of your own, here of token ids, with a policy of some thousand weights.
//!
//! `cargo run --release -p espalier-trainer --example own_pairs`

use espalier_model::{ModelConfig, Transformer};
use espalier_trainer::{Objective, PreferencePair, TrainConfig, Trainer};
use std::error::Error;

/// Trains by Step-APO and prints what it came to.
///
/// # Errors
/// None of these pairs.
pub fn main() -> Result<(), Box<dyn Error>> {
    // A policy of your own is loaded: Transformer::load(folder, tch::Device::Cpu, tch::Kind::Float).
    let shape = ModelConfig::llama(64, 32, 64, 2, 2, 1, 64)?;
    let mut model = Transformer::init(&shape, 0, tch::Device::Cpu)?;
    // The chosen step repeats the prompt's last token, the rejected one does not.
    let pair = |id: u32| PreferencePair {
        prompt_ids: vec![1, 2, id],
        chosen_ids: vec![id, id],
        rejected_ids: vec![id + 1, id],
        q_chosen: 1.0,
        q_rejected: -0.5,
        visits_chosen: 9,
        visits_rejected: 4,
        weight: 1.0,
        q_scale: 1.0,
        reference: None,
    };
    let pairs: Vec<PreferencePair> = (10..26).map(pair).collect();
    let objective = Objective::new("step_apo", &[("beta".to_owned(), 0.3)].into())?;
    let config = TrainConfig { learning_rate: 1e-3, epochs: 8, batch_size: 4, ..TrainConfig::default() };
    // Metrics, TensorBoard's events and the state to resume from lie here.
    let folder = tempfile::tempdir()?;
    let trainer = Trainer { model: &mut model, config: &config, folder: folder.path(), observer: &mut () };
    let summary = trainer.prefer_pairs(&pairs, &[], &objective)?;
    println!("{} steps on {} pairs, final loss {:.4}", summary.steps, summary.examples, summary.final_loss);
    Ok(())
}
