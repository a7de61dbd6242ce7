//! Readers of a model's folder: its configuration, its weights, their index and the value head.

use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_model::{ModelConfig, Transformer};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

const FIELDS: &[&str] = &[
    "\"hidden_size\":",
    "\"num_attention_heads\":",
    "\"num_key_value_heads\":",
    "\"head_dim\":",
    "\"rope_scaling\":",
    "\"rope_theta\":",
    "\"llama3\"",
    "\"linear\"",
    "\"yarn\"",
    "\"factor\":",
    "\"vocab_size\":",
    "\"rms_norm_eps\":",
    "\"model_type\": \"qwen3\"",
    "\"qwen2\"",
    "\"mistral\"",
    "\"tie_word_embeddings\": false",
    "\"sliding_window\":",
    "\"max_position_embeddings\":",
    "\"torch_dtype\":",
    "\"num_hidden_layers\":",
    "\"attention_bias\": true",
];
const TENSORS: &[&str] = &[
    "\"dtype\":\"F32\"",
    "\"BF16\"",
    "\"F64\"",
    "\"F16\"",
    "\"I8\"",
    "\"shape\":",
    "\"data_offsets\":",
    "\"__metadata__\":{}",
    "\"weight_map\":",
    "model-00001-of-00002.safetensors",
    "../model.safetensors",
    "model.norm.weight",
    "lm_head.weight",
];

pub(super) const TARGETS: [Target; 4] = [
    Target { name: "model-config", share: 30, words: FIELDS, begin: |scratch| beside(scratch, "config.json") },
    Target { name: "model-weights", share: 30, words: TENSORS, begin: |scratch| beside(scratch, "model.safetensors") },
    Target { name: "model-index", share: 30, words: TENSORS, begin: index },
    Target {
        name: "model-value-head",
        share: 30,
        words: TENSORS,
        begin: |scratch| beside(scratch, "value_head.safetensors"),
    },
];

/// The smallest model there is, with a value head.
fn saved(folder: &Path) -> Transformer {
    let config = ModelConfig::llama(16, 4, 4, 1, 2, 1, 16).expect("a shape that makes sense");
    let mut model = Transformer::init(&config, 1, Device::Cpu).expect("a model of that shape");
    model.set_value_head(Some(Tensor::zeros([4], (Kind::Float, Device::Cpu)))).expect("a head of its width");
    model.save(folder).expect("a model can be saved");
    model
}

/// Loads the folder and computes with what it holds.
fn loads(folder: &Path) -> bool {
    tch::set_num_threads(1);
    let Ok(model) = Transformer::load(folder, Device::Cpu, Kind::Float) else { return false };
    let _guard = tch::no_grad_guard();
    let ids = Tensor::from_slice(&[0_i64, 1, 2]).reshape([1, 3]);
    let positions = Tensor::from_slice(&[0_i64, 1, 2]).reshape([1, 3]);
    let mask = Tensor::ones([3, 3], (Kind::Bool, Device::Cpu)).tril(0).reshape([1, 1, 3, 3]);
    if model.config().vocab_size > 2 {
        let hidden = model.hidden(&ids, &positions, &mask);
        assert_eq!(model.logits(&hidden).size()[2], model.config().vocab_size as i64);
    }
    true
}

/// One file of a folder whose others are right.
fn beside(scratch: Scratch, name: &'static str) -> Begun {
    saved(scratch.path());
    let seed = scratch.take(name);
    let is_json = Path::new(name).extension().is_some_and(|extension| extension == "json");
    Begun::new([seed], move |input| {
        let input = if is_json { input.to_vec() } else { with_lengths(input) };
        scratch.put(name, &input);
        loads(scratch.path())
    })
}

fn index(scratch: Scratch) -> Begun {
    let model = saved(scratch.path());
    let shard = "model-00001-of-00001.safetensors";
    scratch.put(shard, &scratch.take("model.safetensors"));
    std::fs::remove_file(scratch.file("model.safetensors")).expect("a file that was saved");
    let places: serde_json::Map<String, Value> =
        model.parameters().map(|(name, _)| (name.to_owned(), Value::from(shard))).collect();
    let seed = serde_json::json!({ "metadata": { "total_size": 100 }, "weight_map": places }).to_string();
    Begun::new([seed], move |input| {
        scratch.put("model.safetensors.index.json", input);
        loads(scratch.path())
    })
}

/// The file with the length of its header and that of its data as the header has them, as long as that is little: a reader
/// that compares lengths tries nothing else.
fn with_lengths(input: &[u8]) -> Vec<u8> {
    const LARGEST: u64 = 1 << 16;
    let mut bytes = input.to_vec();
    let Some(rest) = bytes.get(8..).filter(|_| bytes[0].is_multiple_of(2)) else { return bytes };
    let mut header = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
    if !matches!(header.next(), Some(Ok(_))) {
        return bytes;
    }
    let len = header.byte_offset();
    let fields: Value = serde_json::from_slice(&rest[..len]).unwrap_or_default();
    let ends = fields.as_object().into_iter().flatten().filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64());
    let data = ends.max().unwrap_or_default().min(LARGEST);
    bytes[..8].copy_from_slice(&(len as u64).to_le_bytes());
    bytes.resize(8 + len + data as usize, 0);
    bytes
}
