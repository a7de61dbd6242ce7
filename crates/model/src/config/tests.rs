use super::huggingface::{parse, render};
use super::*;
use serde_json::{Map, Value, json};

/// A configuration as transformers 4 wrote it.
fn old(changes: &Value) -> Map<String, Value> {
    let mut fields = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 2, "hidden_act": "silu",
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 5e5, "torch_dtype": "bfloat16",
        "bos_token_id": 1, "eos_token_id": 2, "transformers_version": "4.44.0", "use_cache": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        fields[name] = value.clone();
    }
    fields.as_object().unwrap().clone()
}

fn message(changes: &Value) -> String {
    parse(&old(changes)).unwrap_err().to_string()
}

#[test]
fn old_and_new_spellings_of_rotary_scaling_are_the_same() {
    let scaling = json!({ "type": "linear", "factor": 4.0 });
    let before = parse(&old(&json!({ "rope_scaling": scaling }))).unwrap();
    let new =
        json!({ "rope_theta": null, "rope_parameters": { "rope_type": "linear", "factor": 4, "rope_theta": 5e5 } });
    assert_eq!(before, parse(&old(&new)).unwrap());
    assert_eq!((before.rope_theta, before.rope_scaling), (5e5, RopeScaling::Linear { factor: 4.0 }));
    assert_eq!(parse(&old(&json!({ "rope_scaling": null }))).unwrap().rope_scaling, RopeScaling::None);
}

#[test]
fn yarn_takes_its_temperature_from_the_factor() {
    let yarn = |changes: &Value| {
        let mut scaling = json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128 });
        for (name, value) in changes.as_object().unwrap() {
            scaling[name] = value.clone();
        }
        match parse(&old(&json!({ "rope_scaling": scaling }))).unwrap().rope_scaling {
            RopeScaling::Yarn { attention_factor, beta_fast, original_context, .. } => {
                (attention_factor, beta_fast, original_context)
            }
            other => panic!("{other:?}"),
        }
    };
    // 0.1 ln 4 + 1
    assert_eq!(yarn(&json!({})), (1.138_629_436_111_989, 32.0, 128.0));
    assert_eq!(yarn(&json!({ "attention_factor": 0.5, "beta_fast": 16 })), (0.5, 16.0, 128.0));
    assert_eq!(yarn(&json!({ "mscale": 1.0, "mscale_all_dim": 1.0 })).0, 1.0);
}

#[test]
fn what_is_absent_has_the_familys_default() {
    let changes = json!({ "num_key_value_heads": null, "rope_theta": null, "rms_norm_eps": null });
    let llama = parse(&old(&changes)).unwrap();
    assert_eq!((llama.num_key_value_heads, llama.head_dim, llama.rope_theta, llama.rms_norm_eps), (8, 8, 1e4, 1e-6));
    assert!(!llama.tie_word_embeddings && !llama.attention_bias && !llama.qk_norm);

    let of = |name: &str, changes: Value| {
        let mut all = json!({ "architectures": [name] });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        parse(&old(&all)).unwrap()
    };
    assert_eq!(of("Qwen3ForCausalLM", json!({})).head_dim, 128);
    assert!(of("Qwen2ForCausalLM", json!({})).attention_bias);
    assert_eq!(of("MistralForCausalLM", json!({})).sliding_window, Some(4096));
    assert_eq!(of("MistralForCausalLM", json!({ "sliding_window": null })).sliding_window, None);
    // A window that is switched off, or that begins above the last layer.
    assert_eq!(of("Qwen2ForCausalLM", json!({ "sliding_window": 9 })).sliding_window, None);
    let on = json!({ "sliding_window": 9, "use_sliding_window": true });
    assert_eq!(of("Qwen2ForCausalLM", on).sliding_window, None);
    let all = json!({ "sliding_window": 9, "use_sliding_window": true, "max_window_layers": 0 });
    assert_eq!(of("Qwen2ForCausalLM", all).sliding_window, Some(9));
    // Only the model type is named.
    assert_eq!(
        parse(&old(&json!({ "architectures": null, "model_type": "qwen3" }))).unwrap().architecture,
        Architecture::Qwen3
    );
}

#[test]
fn what_does_not_exist_here_is_named() {
    assert_eq!(
        message(&json!({ "architectures": ["GemmaForCausalLM"] })),
        "architecture \"GemmaForCausalLM\" is not supported; use one of \
         LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM"
    );
    assert_eq!(
        message(&json!({ "hidden_act": "gelu" })),
        "config field hidden_act = \"gelu\" is not supported: only \"silu\" is"
    );
    for (field, value) in [
        ("mlp_bias", json!(true)),
        ("attention_dropout", json!(0.1)),
        ("partial_rotary_factor", json!(0.5)),
        ("quantization_config", json!({ "bits": 4 })),
    ] {
        assert!(message(&json!({ field: value })).starts_with(&format!("config field {field} = ")), "{field}");
    }
    assert_eq!(
        message(&json!({ "rope_scaling": { "type": "dynamic", "factor": 2.0 } })),
        "config field rope_type = \"dynamic\" is not supported: use default, linear, llama3 or yarn"
    );
    let mixed = json!({
        "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": true, "sliding_window": 9, "max_window_layers": 1,
    });
    assert!(message(&mixed).starts_with("config field layer_types = sliding_attention in 1 of 2 is not supported"));
}

#[test]
fn what_makes_no_sense_is_named() {
    assert_eq!(message(&json!({ "vocab_size": null })), "config field vocab_size: is missing");
    assert_eq!(message(&json!({ "vocab_size": -1 })), "config field vocab_size: is -1, but must be a count");
    assert_eq!(
        message(&json!({ "num_hidden_layers": 0 })),
        "config field num_hidden_layers: is 0, but must be between 1 and 2^31"
    );
    assert_eq!(
        message(&json!({ "num_key_value_heads": 3 })),
        "config field num_key_value_heads: 3 does not divide num_attention_heads 8"
    );
    assert_eq!(message(&json!({ "rms_norm_eps": "x" })), "config field rms_norm_eps: is \"x\", but must be a number");
    assert_eq!(
        message(&json!({ "eos_token_id": [1, "x"] })),
        "config field eos_token_id: is \"x\", but must be a token id"
    );
    assert_eq!(
        message(&json!({ "rope_scaling": { "type": "linear" } })),
        "config field factor: is missing in rope_scaling"
    );
    assert_eq!(message(&json!({ "rope_theta": 0 })), "config field rope_theta: is 0, but must be positive");
    assert!(ModelConfig::llama(10, 32, 32, 1, 0, 1, 8).is_err());
    assert!(ModelConfig::llama(10, 30, 32, 1, 6, 2, 8).unwrap_err().to_string().starts_with("config field head_dim"));
}

#[test]
fn what_is_written_is_read_back() {
    let llama = ModelConfig::llama(100, 64, 96, 2, 8, 2, 512).unwrap();
    let llama3 = RopeScaling::Llama3 {
        factor: 8.0,
        low_frequency_factor: 1.0,
        high_frequency_factor: 4.0,
        original_context: 128.0,
    };
    let yarn = RopeScaling::Yarn {
        factor: 4.0,
        original_context: 128.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        attention_factor: 1.1,
        truncate: false,
    };
    let configs = [
        ModelConfig { attention_bias: true, rope_scaling: llama3, eos_token_ids: vec![], ..llama.clone() },
        ModelConfig { architecture: Architecture::Mistral, sliding_window: Some(9), ..llama.clone() },
        ModelConfig { architecture: Architecture::Mistral, bos_token_id: Some(3), ..llama.clone() },
        ModelConfig { architecture: Architecture::Qwen2, attention_bias: true, rope_scaling: yarn, ..llama.clone() },
        ModelConfig {
            architecture: Architecture::Qwen3,
            qk_norm: true,
            sliding_window: Some(5),
            head_dim: 6,
            ..llama.clone()
        },
        ModelConfig { rope_scaling: RopeScaling::Linear { factor: 2.5 }, eos_token_ids: vec![4, 5], ..llama },
    ];
    for config in configs {
        assert_eq!(parse(render(&config, "float32").as_object().unwrap()).unwrap(), config);
    }
}
