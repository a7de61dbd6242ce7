//! The same numbers as Hugging Face transformers, and files that both read.
//!
//! `fixtures/make.py` made the models and what is expected of them.

#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

use espalier_model::{Architecture, DecodeGroup, Decoder, ModelConfig, ModelError, Numerics, RopeScaling, Transformer};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

const MODELS: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn load(folder: &Path) -> Transformer {
    Transformer::load(folder, Device::Cpu, Kind::Float).unwrap()
}

/// The ids [B, T] of transformers, the logits [B, T, V] or the likeliest continuations [B, N].
fn expected(name: &str, wanted: &str) -> Tensor {
    let tensors = Tensor::read_safetensors(fixture(name).join("expected.safetensors")).unwrap();
    tensors.iter().find(|(name, _)| name == wanted).unwrap().1.shallow_clone()
}

/// [1, 1, T, T]: each token sees itself and what came before, within the model's window.
fn causal_mask(tokens: i64, config: &ModelConfig) -> Tensor {
    let window = config.sliding_window.map_or(i64::MAX, |window| window as i64);
    let values: Vec<f32> = (0..tokens * tokens)
        .map(|index| (index / tokens, index % tokens))
        .map(|(i, j)| if j <= i && i - j < window { 0.0 } else { f32::NEG_INFINITY })
        .collect();
    Tensor::from_slice(&values).view([1, 1, tokens, tokens])
}

fn logits(model: &Transformer, ids: &Tensor) -> Tensor {
    let (batch, tokens) = ids.size2().unwrap();
    let positions = Tensor::arange(tokens, (Kind::Int64, Device::Cpu)).expand([batch, tokens], false);
    tch::no_grad(|| model.logits(&model.hidden(ids, &positions, &causal_mask(tokens, model.config()))))
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[test]
fn logits_equal_those_of_transformers() {
    for name in MODELS {
        let (ids, wanted) = (expected(name, "ids"), expected(name, "logits"));
        let difference = difference(&logits(&load(&fixture(name)), &ids), &wanted);
        assert!(difference < 1e-4, "{name}: logits differ by {difference}");
    }
}

#[test]
fn greedy_continuations_are_those_of_transformers() {
    for name in MODELS {
        let model = load(&fixture(name));
        let lines = |tensor: &Tensor| Vec::<Vec<i64>>::try_from(tensor).unwrap();
        for (ids, wanted) in lines(&expected(name, "ids")).into_iter().zip(lines(&expected(name, "greedy"))) {
            let mut new: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
            let prompt = new.clone();
            for numerics in [Numerics::Invariant, Numerics::Fast] {
                let mut decoder = Decoder::new(&model, numerics, 1 << 22).unwrap();
                let mut group = DecodeGroup::new(&[], 1, prompt.len() + wanted.len()).unwrap();
                let mut greedy = Vec::new();
                new.clone_from(&prompt);
                for _ in 0..wanted.len() {
                    let states = decoder.extend(&mut [(&mut group, &new)]).unwrap();
                    let logits = Tensor::from_slice(&decoder.logits(&states).unwrap());
                    greedy.push(logits.argmax(-1, false).int64_value(&[]));
                    new = vec![greedy[greedy.len() - 1] as u32];
                }
                assert_eq!(greedy, wanted, "{name}, {numerics:?}");
            }
        }
    }
}

/// Where `python3` (or ESPALIER_PYTHON) has transformers.
#[test]
fn transformers_loads_what_is_saved_here_as_the_same_model() {
    let python = std::env::var("ESPALIER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/parity.py");
    for name in MODELS {
        let saved = tempfile::tempdir().unwrap();
        load(&fixture(name)).save(saved.path()).unwrap();
        let mut command = std::process::Command::new(&python);
        let output = command.arg(&script).arg("same").arg(fixture(name)).arg(saved.path()).output();
        let Ok(output) = output else { return eprintln!("skipped: there is no {python}") };
        let message = [output.stdout, output.stderr].concat();
        let message = String::from_utf8_lossy(&message);
        if output.status.code() == Some(3) {
            return eprintln!("skipped: {message}");
        }
        assert!(output.status.success() && message.contains("ok  "), "{name}: {message}");
    }
}

#[test]
fn configurations_are_read_as_transformers_wrote_them() {
    let config = |name: &str| ModelConfig::load(&fixture(name)).unwrap();
    let llama = config("llama");
    assert_eq!(llama.architecture, Architecture::Llama);
    assert_eq!((llama.vocab_size, llama.hidden_size, llama.head_dim), (48, 32, 8));
    assert_eq!(llama.eos_token_ids, [1, 2]);
    assert!(llama.attention_bias && llama.output_bias() && !llama.tie_word_embeddings);
    assert!(matches!(llama.rope_scaling, RopeScaling::Llama3 { factor: 8.0, original_context: 16.0, .. }));
    assert_eq!(config("mistral").sliding_window, Some(7));
    let qwen2 = config("qwen2");
    assert!(qwen2.attention_bias && !qwen2.output_bias() && qwen2.tie_word_embeddings);
    assert!(matches!(qwen2.rope_scaling, RopeScaling::Yarn { factor: 4.0, .. }));
    let qwen3 = config("qwen3");
    assert!(qwen3.qk_norm && qwen3.head_dim == 12 && qwen3.sliding_window.is_none());
}

#[test]
fn a_saved_model_is_the_model() {
    for name in MODELS {
        let model = load(&fixture(name));
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let again = load(folder.path());
        assert_eq!(again.config(), model.config(), "{name}");
        assert_eq!(again.hash(), model.hash(), "{name}");
    }
}

#[test]
fn a_weight_that_is_missing_or_of_another_shape_is_named() {
    let folder = tempfile::tempdir().unwrap();
    load(&fixture("llama")).save(folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    let fails = |from: &str, to: &str| {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        std::fs::write(folder.path().join("config.json"), changed).unwrap();
        Transformer::load(folder.path(), Device::Cpu, Kind::Float).unwrap_err()
    };
    let error = fails("\"intermediate_size\": 24", "\"intermediate_size\": 25");
    let message = "tensor model.layers.0.mlp.gate_proj.weight has shape [24, 32], but the config wants [25, 32]";
    assert_eq!(error.to_string(), message);
    let error = fails("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    assert!(
        matches!(&error, ModelError::MissingTensor { name, shape, .. }
        if name == "model.layers.2.input_layernorm.weight" && *shape == [32]),
        "{error}"
    );
    let error = fails("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    assert!(
        matches!(&error, ModelError::UnexpectedTensor { name, .. }
        if name.starts_with("model.layers.1.")),
        "{error}"
    );
}
