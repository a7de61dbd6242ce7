//! config.json as Hugging Face transformers writes it: since version 5 with `rope_parameters`, before that with
//! `rope_theta` and `rope_scaling`. Written in the older form, which all versions read.

use super::{Architecture, ModelConfig};
use crate::ModelError;
use crate::rope::RopeScaling;
use espalier_files::publish_json;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Fields that change what is computed, and the only values under which nothing changes. Absent and null always pass.
const NEUTRAL: [(&str, Neutral); 10] = [
    ("hidden_act", Neutral::Text("silu")),
    ("mlp_bias", Neutral::False),
    ("attention_dropout", Neutral::Number(0.0)),
    ("partial_rotary_factor", Neutral::Number(1.0)),
    ("attn_logit_softcapping", Neutral::Absent),
    ("final_logit_softcapping", Neutral::Absent),
    ("quantization_config", Neutral::Absent),
    ("dual_chunk_attention_config", Neutral::Absent),
    ("is_encoder_decoder", Neutral::False),
    ("add_cross_attention", Neutral::False),
];

enum Neutral {
    Text(&'static str),
    Number(f64),
    False,
    Absent,
}

impl Neutral {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Neutral::Text(text) => value.as_str() == Some(text),
            #[allow(clippy::float_cmp)] // written as a decimal literal by people
            Neutral::Number(number) => value.as_f64() == Some(*number),
            Neutral::False => value.as_bool() == Some(false),
            Neutral::Absent => false,
        }
    }

    fn describe(&self) -> String {
        match self {
            Neutral::Text(text) => format!("only {text:?} is"),
            Neutral::Number(number) => format!("only {number} is"),
            Neutral::False => "only false is".to_owned(),
            Neutral::Absent => "leave it out".to_owned(),
        }
    }
}

pub(super) fn load(path: &Path) -> Result<ModelConfig, ModelError> {
    let text = espalier_files::read_input(path).map_err(ModelError::read(path))?;
    let fields: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| ModelError::broken(path, error))?;
    parse(&fields).map_err(|source| ModelError::Config { path: path.to_owned(), source: Box::new(source) })
}

/// The configuration in the fields of a config.json.
pub(super) fn parse(fields: &Map<String, Value>) -> Result<ModelConfig, ModelError> {
    let fields = Fields { fields };
    let architecture = architecture(&fields)?;
    for (name, neutral) in NEUTRAL {
        if let Some(value) = fields.get(name)
            && !neutral.holds(value)
        {
            return Err(ModelError::unsupported(name, value, neutral.describe()));
        }
    }
    let hidden_size = fields.count("hidden_size")?;
    let num_attention_heads = fields.count("num_attention_heads")?;
    let num_hidden_layers = fields.count("num_hidden_layers")?;
    let max_position_embeddings = fields.count("max_position_embeddings")?;
    // The defaults are those of each family's configuration class.
    let head_dim = match (fields.optional_count("head_dim")?, architecture) {
        (Some(head_dim), _) => head_dim,
        (None, Architecture::Qwen3) => 128,
        (None, _) => hidden_size.checked_div(num_attention_heads).unwrap_or(0),
    };
    let (rope_theta, rope_scaling) = rope(&fields, max_position_embeddings)?;
    let config = ModelConfig {
        architecture,
        vocab_size: fields.count("vocab_size")?,
        hidden_size,
        intermediate_size: fields.count("intermediate_size")?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads: fields.optional_count("num_key_value_heads")?.unwrap_or(num_attention_heads),
        head_dim,
        max_position_embeddings,
        rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6),
        rope_theta,
        rope_scaling,
        tie_word_embeddings: fields.flag("tie_word_embeddings")?,
        attention_bias: match architecture {
            Architecture::Qwen2 => true,
            Architecture::Llama | Architecture::Qwen3 => fields.flag("attention_bias")?,
            Architecture::Mistral => false,
        },
        qk_norm: architecture == Architecture::Qwen3,
        sliding_window: sliding_window(&fields, architecture, num_hidden_layers)?,
        bos_token_id: token_ids(&fields, "bos_token_id")?.first().copied(),
        eos_token_ids: token_ids(&fields, "eos_token_id")?,
    };
    config.check()?;
    Ok(config)
}

fn architecture(fields: &Fields) -> Result<Architecture, ModelError> {
    let names = fields.get("architectures").and_then(Value::as_array);
    let found = if let Some(name) = names.and_then(|names| names.first()) {
        name.as_str().map_or_else(|| name.to_string(), str::to_owned)
    } else {
        // Old folders may name only the model type.
        let model_type = fields.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let known = Architecture::ALL.into_iter().find(|architecture| architecture.model_type() == model_type);
        known.map_or_else(|| model_type.to_owned(), |architecture| architecture.name().to_owned())
    };
    let known = Architecture::ALL.into_iter().find(|architecture| architecture.name() == found);
    known.ok_or_else(|| ModelError::Architecture { found, supported: Architecture::ALL.map(Architecture::name).into() })
}

/// The window, if all layers have it.
fn sliding_window(fields: &Fields, architecture: Architecture, layers: usize) -> Result<Option<usize>, ModelError> {
    let window = match architecture {
        // A Mistral without the field has the class's default; null means none.
        Architecture::Mistral if !fields.fields.contains_key("sliding_window") => Some(4096),
        Architecture::Mistral => fields.optional_count("sliding_window")?,
        Architecture::Qwen2 | Architecture::Qwen3 if fields.flag("use_sliding_window")? => {
            fields.optional_count("sliding_window")?
        }
        Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => None,
    };
    if window.is_none() || architecture == Architecture::Mistral {
        return Ok(window);
    }
    let sliding = match fields.get("layer_types").and_then(Value::as_array) {
        Some(types) => types.iter().filter(|kind| kind.as_str() == Some("sliding_attention")).count(),
        None => layers.saturating_sub(fields.optional_count("max_window_layers")?.unwrap_or(28)),
    };
    match sliding {
        0 => Ok(None),
        all if all == layers => Ok(window),
        some => {
            let problem = "all layers must attend alike";
            Err(ModelError::unsupported("layer_types", format!("sliding_attention in {some} of {layers}"), problem))
        }
    }
}

fn rope(fields: &Fields, context: usize) -> Result<(f64, RopeScaling), ModelError> {
    let empty = Map::new();
    let name = if fields.get("rope_parameters").is_some() { "rope_parameters" } else { "rope_scaling" };
    let parameters = match fields.get(name) {
        None => &empty,
        Some(Value::Object(parameters)) => parameters,
        Some(other) => return Err(ModelError::field(name, format!("is {other}, but must be an object"))),
    };
    let scaling = Fields { fields: parameters };
    let theta = match scaling.number("rope_theta")? {
        Some(theta) => theta,
        None => fields.number("rope_theta")?.unwrap_or(10_000.0),
    };
    if let Some(share) = scaling.number("partial_rotary_factor")?
        && share < 1.0
    {
        return Err(ModelError::unsupported("partial_rotary_factor", share, "only 1 is"));
    }
    let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).map_or(Some("default"), Value::as_str);
    let factor = || {
        let missing = || ModelError::field("factor", format!("is missing in {name}"));
        scaling.number("factor")?.ok_or_else(missing)
    };
    let required = |field| {
        let missing = || ModelError::field(field, format!("is missing in {name}"));
        scaling.number(field)?.ok_or_else(missing)
    };
    let original_context = match fields.number("original_max_position_embeddings")? {
        Some(original) => original,
        None => scaling.number("original_max_position_embeddings")?.unwrap_or(context as f64),
    };
    let scaling = match kind {
        Some("default") => RopeScaling::None,
        Some("linear") => RopeScaling::Linear { factor: factor()? },
        Some("llama3") => RopeScaling::Llama3 {
            factor: factor()?,
            low_frequency_factor: required("low_freq_factor")?,
            high_frequency_factor: required("high_freq_factor")?,
            original_context,
        },
        Some("yarn") => yarn(&scaling, factor()?, original_context)?,
        _ => {
            let value = scaling.get("rope_type").or_else(|| scaling.get("type")).unwrap_or(&Value::Null);
            let problem = "use default, linear, llama3 or yarn";
            return Err(ModelError::unsupported("rope_type", value, problem));
        }
    };
    Ok((theta, scaling))
}

fn yarn(scaling: &Fields, factor: f64, original_context: f64) -> Result<RopeScaling, ModelError> {
    // A zero counts as absent in these fields, as in transformers.
    let positive = |field| Ok::<_, ModelError>(scaling.number(field)?.filter(|&value| value != 0.0));
    // YaRN's recommended temperature, 0.1 ln(s) + 1 (equation 22); the two weights are DeepSeek's addition.
    let attention = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
    let attention_factor = match (scaling.number("attention_factor")?, positive("mscale")?, positive("mscale_all_dim")?)
    {
        (Some(given), _, _) => given,
        (None, Some(above), Some(below)) => attention(above) / attention(below),
        _ => attention(1.0),
    };
    Ok(RopeScaling::Yarn {
        factor,
        original_context,
        beta_fast: positive("beta_fast")?.unwrap_or(32.0),
        beta_slow: positive("beta_slow")?.unwrap_or(1.0),
        attention_factor,
        truncate: scaling.get("truncate").and_then(Value::as_bool).unwrap_or(true),
    })
}

fn token_ids(fields: &Fields, name: &str) -> Result<Vec<u32>, ModelError> {
    let id = |value: &Value| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| ModelError::field(name, format!("is {value}, but must be a token id")))
    };
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(id).collect(),
        Some(value) => Ok(vec![id(value)?]),
    }
}

pub(super) fn save(config: &ModelConfig, path: &Path, data_type: &str) -> Result<(), ModelError> {
    Ok(publish_json(path, &render(config, data_type))?)
}

/// The document that [`parse`] reads back to the same configuration.
pub(super) fn render(config: &ModelConfig, data_type: &str) -> Value {
    let scaling = match config.rope_scaling {
        RopeScaling::None => Value::Null,
        RopeScaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_frequency_factor,
            "high_freq_factor": high_frequency_factor,
            "original_max_position_embeddings": whole(original_context),
        }),
        RopeScaling::Yarn { factor, original_context, beta_fast, beta_slow, attention_factor, truncate } => json!({
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": whole(original_context),
            "beta_fast": beta_fast,
            "beta_slow": beta_slow,
            "attention_factor": attention_factor,
            "truncate": truncate,
        }),
    };
    let eos = match config.eos_token_ids.as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        many => json!(many),
    };
    let mut fields = json!({
        "architectures": [config.architecture.name()],
        "model_type": config.architecture.model_type(),
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "hidden_act": "silu",
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling,
        "tie_word_embeddings": config.tie_word_embeddings,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": eos,
        "torch_dtype": data_type,
    });
    match config.architecture {
        Architecture::Llama => fields["attention_bias"] = json!(config.attention_bias),
        Architecture::Mistral => fields["sliding_window"] = json!(config.sliding_window),
        Architecture::Qwen2 | Architecture::Qwen3 => {
            if config.architecture == Architecture::Qwen3 {
                fields["attention_bias"] = json!(config.attention_bias);
            }
            fields["use_sliding_window"] = json!(config.sliding_window.is_some());
            fields["sliding_window"] = json!(config.sliding_window);
            // Layers from this one on have the window.
            let full = if config.sliding_window.is_some() { 0 } else { config.num_hidden_layers };
            fields["max_window_layers"] = json!(full);
        }
    }
    fields
}

/// A whole number as transformers' type checks want it.
fn whole(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as u64) } else { json!(value) }
}

/// Fields of an object; null counts as absent.
struct Fields<'a> {
    fields: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn optional_count(&self, name: &str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.map(Some).ok_or_else(|| ModelError::field(name, format!("is {value}, but must be a count")))
    }

    fn count(&self, name: &str) -> Result<usize, ModelError> {
        self.optional_count(name)?.ok_or_else(|| ModelError::field(name, "is missing"))
    }

    fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| ModelError::field(name, format!("is {value}, but must be a number")))
    }

    fn flag(&self, name: &str) -> Result<bool, ModelError> {
        let Some(value) = self.get(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| ModelError::field(name, format!("is {value}, but must be true or false")))
    }
}
