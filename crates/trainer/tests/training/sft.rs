//! Supervised training.

use crate::toy;
use espalier_trainer::{Order, SftExample, SkipReason, SkippedRow, TrainConfig, TrainerError};
use tch::no_grad;

#[test]
fn eight_sequences_are_learnt_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    let data = toy::sequences(8);
    let config = TrainConfig { epochs: 150, batch_size: 8, ..toy::config() };
    let summary = toy::trainer(&mut model, &config, folder.path(), &mut ()).sft(&data).unwrap();
    assert_eq!((summary.examples, summary.steps, summary.resumed_from), (8, 150, None));
    assert!(summary.final_loss < 0.02, "{}", summary.final_loss);
    // The trained model says the same of its own accord.
    for example in &data {
        assert!(toy::logprob(&model, &example.ids, example.prompt_len) > -0.5);
    }
    assert!(model.parameters().all(|(_, tensor)| !tensor.requires_grad()));
}

#[test]
fn the_loss_is_the_mean_over_the_tokens_after_the_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    let mut data = toy::sequences(4);
    data[3].prompt_len = 0; // its first token has nothing before it, all others count
    let learned = |e: &SftExample| e.prompt_len.max(1);
    let total: f64 = data.iter().map(|e| -toy::logprob(&model, &e.ids, learned(e))).sum();
    let tokens: usize = data.iter().map(|e| e.ids.len() - learned(e)).sum();
    let config = TrainConfig { epochs: 1, ..toy::config() };
    let summary = toy::trainer(&mut model, &config, folder.path(), &mut ()).sft(&data).unwrap();
    assert!((summary.final_loss - total / tokens as f64).abs() < 1e-5);
    // Each example reads all its tokens but the last; packed, two of them share their first token.
    let read = data.iter().map(|e| e.ids.len() as u64 - 1).sum::<u64>();
    assert_eq!(summary.tokens, read - 1);
    let padded = TrainConfig { layout: espalier_trainer::Layout::Padded, ..config };
    let other = tempfile::tempdir().unwrap();
    assert_eq!(toy::trainer(&mut toy::model(), &padded, other.path(), &mut ()).sft(&data).unwrap().tokens, read);
}

#[test]
fn a_batch_in_parts_is_the_same_batch() {
    let data = toy::sequences(24);
    let trained = |micro_batch_tokens: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut model = toy::model();
        let config =
            TrainConfig { epochs: 2, batch_size: 12, micro_batch_tokens, learning_rate: 1e-3, ..toy::config() };
        toy::trainer(&mut model, &config, folder.path(), &mut ()).sft(&data).unwrap();
        let (losses, norms) = (toy::column(folder.path(), "loss"), toy::column(folder.path(), "grad_norm"));
        (model, losses, norms)
    };
    let (whole, whole_losses, whole_norms) = trained(1_000_000);
    for limit in [1, 40] {
        let (parts, losses, norms) = trained(limit);
        assert!(losses.iter().zip(&whole_losses).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!(norms.iter().zip(&whole_norms).all(|(a, b)| (a - b).abs() < 1e-5));
        assert!(toy::distance(&whole, &parts) < 1e-5, "{}", toy::distance(&whole, &parts));
    }
}

#[test]
fn what_cannot_be_trained_on_is_listed_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let good = toy::sequences(4);
    let mut data = good.clone();
    data.insert(1, SftExample { ids: vec![1, 2, toy::VOCAB], prompt_len: 1 });
    data.insert(2, SftExample { ids: vec![1, 2], prompt_len: 2 });
    data.push(SftExample { ids: vec![1; toy::CONTEXT + 1], prompt_len: 1 });
    let config = TrainConfig { order: Some(Order::AsGiven), ..toy::config() };
    let mut model = toy::model();
    let summary = toy::trainer(&mut model, &config, folder.path(), &mut ()).sft(&data).unwrap();
    let token = SkipReason::TokenOutOfVocabulary { id: toy::VOCAB, vocab_size: toy::VOCAB as usize };
    let long = SkipReason::TooLong { tokens: toy::CONTEXT + 1, context: toy::CONTEXT };
    let expected = [(1, token), (2, SkipReason::EmptyStep), (6, long)].map(|(row, reason)| SkippedRow { row, reason });
    assert_eq!(summary.skipped, expected);
    let (mut clean, other) = (toy::model(), tempfile::tempdir().unwrap());
    toy::trainer(&mut clean, &config, other.path(), &mut ()).sft(&good).unwrap();
    assert_eq!(toy::bits(&model), toy::bits(&clean));
}

#[test]
fn nothing_to_train_on_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let data = [SftExample { ids: vec![99], prompt_len: 0 }];
    let error = toy::trainer(&mut toy::model(), &toy::config(), folder.path(), &mut ()).sft(&data).unwrap_err();
    let expected = "no example can be trained on: 1 given, 1 skipped, the first because token 99 is not below the \
                    vocabulary size 24";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_loss_that_is_not_a_number_stops_and_leaves_the_batch_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    let (_, tensor) = model.parameters().next().unwrap();
    let mut tensor = tensor.shallow_clone();
    let _ = no_grad(|| tensor.fill_(f64::NAN));
    let data = toy::sequences(4);
    let error = toy::trainer(&mut model, &toy::config(), folder.path(), &mut ()).sft(&data).unwrap_err();
    let TrainerError::NotFinite { what: "loss", step: 1, path, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().starts_with("loss is NaN at step 1; the batch is in "));
    let batch: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let rows: Vec<u64> = batch["examples"].as_array().unwrap().iter().map(|e| e["row"].as_u64().unwrap()).collect();
    assert_eq!(rows.len(), 4);
    let row = rows[0] as usize;
    assert_eq!(batch["examples"][0]["example"]["ids"], serde_json::json!(data[row].ids));
    assert!(model.parameters().all(|(_, tensor)| !tensor.requires_grad()));
}

#[test]
fn each_step_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { epochs: 3, ..toy::config() };
    toy::trainer(&mut toy::model(), &config, folder.path(), &mut ()).sft(&toy::sequences(7)).unwrap();
    let lines = toy::metrics(folder.path());
    assert_eq!(lines.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(toy::column(folder.path(), "epoch")[1..3], [1.0, 1.5]);
    for name in ["loss", "grad_norm", "learning_rate", "tokens_per_s"] {
        assert!(toy::column(folder.path(), name).iter().all(|&value| value > 0.0), "{name}");
    }
    let events: Vec<_> = std::fs::read_dir(folder.path().join("tb")).unwrap().collect();
    assert_eq!(events.len(), 1);
}
