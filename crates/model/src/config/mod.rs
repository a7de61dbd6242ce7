//! What a model is made of.

mod huggingface;
#[cfg(test)]
mod tests;

use crate::ModelError;
use crate::rope::RopeScaling;
use std::path::Path;

/// More layers than any model has.
const MAX_LAYERS: usize = 10_000;

/// The families of models that exist here, under their names in Hugging Face transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// `LlamaForCausalLM`
    Llama,
    /// `MistralForCausalLM`: Llama with a sliding attention window.
    Mistral,
    /// `Qwen2ForCausalLM`: Llama with biases on queries, keys and values.
    Qwen2,
    /// `Qwen3ForCausalLM`: Llama with normalised queries and keys.
    Qwen3,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Architecture; 4] =
        [Architecture::Llama, Architecture::Mistral, Architecture::Qwen2, Architecture::Qwen3];

    /// The class name in transformers.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "LlamaForCausalLM",
            Architecture::Mistral => "MistralForCausalLM",
            Architecture::Qwen2 => "Qwen2ForCausalLM",
            Architecture::Qwen3 => "Qwen3ForCausalLM",
        }
    }

    /// The `model_type` in transformers.
    pub fn model_type(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Mistral => "mistral",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
        }
    }
}

/// A model's shape and constants, in the words of Hugging Face's config.json.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The family.
    pub architecture: Architecture,
    /// V, rows of the embedding.
    pub vocab_size: usize,
    /// H, the width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; each serves the same number of query heads.
    pub num_key_value_heads: usize,
    /// Width of one head, even.
    pub head_dim: usize,
    /// Tokens that the model was made for.
    pub max_position_embeddings: usize,
    /// Added to the mean square in each norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding's wavelengths.
    pub rope_theta: f64,
    /// How those are stretched for long texts.
    pub rope_scaling: RopeScaling,
    /// Whether the output projection is the embedding itself.
    pub tie_word_embeddings: bool,
    /// Biases on the projections of queries, keys and values; in Llama and Qwen3 also on the attention's output.
    pub attention_bias: bool,
    /// Queries and keys are normalised within each head.
    pub qk_norm: bool,
    /// A token sees this many last tokens, itself included; all earlier ones if `None`.
    pub sliding_window: Option<usize>,
    /// The token that may begin a text.
    pub bos_token_id: Option<u32>,
    /// The tokens that end one.
    pub eos_token_ids: Vec<u32>,
}

impl ModelConfig {
    /// A Llama with tied embeddings, `rope_theta` 10,000 and a context of `context` tokens; token 0 ends a text, as
    /// the tokenizers that are trained here have it.
    pub fn llama(
        vocab_size: usize,
        hidden_size: usize,
        intermediate_size: usize,
        layers: usize,
        heads: usize,
        kv_heads: usize,
        context: usize,
    ) -> Result<ModelConfig, ModelError> {
        let config = ModelConfig {
            architecture: Architecture::Llama,
            vocab_size,
            hidden_size,
            intermediate_size,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            head_dim: hidden_size.checked_div(heads).unwrap_or(0),
            max_position_embeddings: context,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::None,
            tie_word_embeddings: true,
            attention_bias: false,
            qk_norm: false,
            sliding_window: None,
            bos_token_id: None,
            eos_token_ids: vec![0],
        };
        config.check()?;
        Ok(config)
    }

    /// Reads a folder's config.json.
    ///
    /// # Errors
    /// Names the architecture or the field that does not exist here, or the one that is missing or wrong.
    pub fn load(folder: &Path) -> Result<ModelConfig, ModelError> {
        huggingface::load(&folder.join("config.json"))
    }

    /// Writes the folder's config.json, as transformers reads it. `data_type` is the weights' type in its words, such as
    /// `float32`.
    pub(crate) fn save(&self, folder: &Path, data_type: &str) -> Result<(), ModelError> {
        huggingface::save(self, &folder.join("config.json"), data_type)
    }

    /// Query heads served by one key-value head.
    pub fn queries_per_key(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Whether the attention's output projection has a bias.
    pub fn output_bias(&self) -> bool {
        self.attention_bias && matches!(self.architecture, Architecture::Llama | Architecture::Qwen3)
    }

    /// Fails if the fields contradict each other.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        let counts = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
        ];
        if let Some((name, value)) = counts.into_iter().find(|&(_, value)| value == 0 || value > 1 << 31) {
            return Err(ModelError::field(name, format!("is {value}, but must be between 1 and 2^31")));
        }
        // Every weight is listed before the first file is looked at.
        if self.num_hidden_layers > MAX_LAYERS {
            let problem = format!("is {}, but must be between 1 and {MAX_LAYERS}", self.num_hidden_layers);
            return Err(ModelError::field("num_hidden_layers", problem));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let problem = format!(
                "{} does not divide num_attention_heads {}",
                self.num_key_value_heads, self.num_attention_heads
            );
            return Err(ModelError::field("num_key_value_heads", problem));
        }
        if !self.head_dim.is_multiple_of(2) {
            let problem = format!("is {}, but the rotary embedding turns pairs of numbers", self.head_dim);
            return Err(ModelError::field("head_dim", problem));
        }
        for (name, value) in [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(ModelError::field(name, format!("is {value}, but must be positive")));
            }
        }
        self.rope_scaling.check()
    }
}
