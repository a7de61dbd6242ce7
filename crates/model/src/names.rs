//! The model's weights: names and shapes in Hugging Face's order and words.

use crate::ModelConfig;

/// The name of the value head in its own file.
pub(crate) const VALUE_HEAD: &str = "value_head.weight";

/// Every weight of a model with its shape, in the order of the forward pass. Linear maps are [out, in].
pub(crate) fn weights(config: &ModelConfig) -> Vec<(String, Vec<i64>)> {
    let hidden = config.hidden_size as i64;
    let inner = config.intermediate_size as i64;
    let width = config.head_dim as i64;
    let queries = config.num_attention_heads as i64 * width;
    let keys = config.num_key_value_heads as i64 * width;
    let table = vec![config.vocab_size as i64, hidden];

    let mut weights = vec![("model.embed_tokens.weight".to_owned(), table.clone())];
    for layer in 0..config.num_hidden_layers {
        let mut add = |name: &str, shape: Vec<i64>| weights.push((format!("model.layers.{layer}.{name}"), shape));
        add("input_layernorm.weight", vec![hidden]);
        for (name, rows) in [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)] {
            add(&format!("self_attn.{name}.weight"), vec![rows, hidden]);
            if config.attention_bias {
                add(&format!("self_attn.{name}.bias"), vec![rows]);
            }
        }
        if config.qk_norm {
            add("self_attn.q_norm.weight", vec![width]);
            add("self_attn.k_norm.weight", vec![width]);
        }
        add("self_attn.o_proj.weight", vec![hidden, queries]);
        if config.output_bias() {
            add("self_attn.o_proj.bias", vec![hidden]);
        }
        add("post_attention_layernorm.weight", vec![hidden]);
        add("mlp.gate_proj.weight", vec![inner, hidden]);
        add("mlp.up_proj.weight", vec![inner, hidden]);
        add("mlp.down_proj.weight", vec![hidden, inner]);
    }
    weights.push(("model.norm.weight".to_owned(), vec![hidden]));
    if !config.tie_word_embeddings {
        weights.push(("lm_head.weight".to_owned(), table));
    }
    weights
}

/// Whether a checkpoint may hold a tensor that the model does not use: a copy of the tied embedding, or a buffer that
/// old versions of transformers saved.
pub(crate) fn is_redundant(name: &str, config: &ModelConfig) -> bool {
    (name == "lm_head.weight" && config.tie_word_embeddings) || name.ends_with(".rotary_emb.inv_freq")
}
