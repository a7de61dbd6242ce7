//! The JSON that goes over the wire: `POST /v1/completions` and `GET /v1/models` of the OpenAI API, with the extensions
//! of vLLM, SGLang and llama.cpp.

use espalier_search::SamplingConfig;
use serde::{Deserialize, Serialize};

/// A prompt in one of its two forms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Prompt {
    Ids(Vec<u32>),
    Text(String),
}

/// The body of a request for one continuation.
///
/// `n` is 1: what `n` candidates of one seed are is up to the server (SGLang gives n equal ones, llama-cpp-python one), so
/// each candidate is a request with a seed of its own. Servers share their common prefix by themselves.
#[derive(Debug, Serialize)]
pub(crate) struct Ask<'a> {
    pub model: &'a str,
    pub prompt: &'a Prompt,
    pub n: u32,
    pub max_tokens: usize,
    pub temperature: f32,
    pub top_p: f32,
    pub seed: u32,
    /// The number of likeliest tokens to list as well; llama.cpp takes 0 for none at all.
    pub logprobs: u32,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub stop: &'a [String],
    #[serde(flatten)]
    pub extras: Option<Extras>,
}

/// What is not in the OpenAI API. All of it is always sent: where a value is missing, vLLM takes the model's
/// `generation_config.json`, and llama.cpp limits of its own.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Extras {
    pub top_k: usize,
    pub min_p: f32,
    pub repetition_penalty: f32,
    /// llama.cpp's name of it.
    pub repeat_penalty: f32,
    /// Tokens that the penalty looks back over: the prompt and all of the continuation (llama.cpp, of itself 64).
    pub repeat_last_n: usize,
    /// What is done to the distribution, in the order in which a policy in a folder does it (llama.cpp, which of itself
    /// has the temperature last).
    pub samplers: [&'static str; 5],
    /// Text of special tokens is text (vLLM, SGLang).
    pub skip_special_tokens: bool,
    /// Sampled ids beside the text (vLLM, SGLang).
    pub return_token_ids: bool,
    /// Ids in place of tokens' texts (older vLLM).
    pub return_tokens_as_token_ids: bool,
}

impl Extras {
    /// `vocabulary` stands for no limit of top-k: some servers take 0 for that and others -1, but all take a large number.
    /// `tokens` are those of the prompt and of the longest continuation.
    pub fn new(sampling: &SamplingConfig, vocabulary: usize, tokens: usize) -> Extras {
        Extras {
            top_k: if sampling.top_k == 0 { vocabulary } else { sampling.top_k },
            min_p: sampling.min_p,
            repetition_penalty: sampling.repetition_penalty,
            repeat_penalty: sampling.repetition_penalty,
            repeat_last_n: tokens,
            samplers: ["penalties", "temperature", "top_k", "top_p", "min_p"],
            skip_special_tokens: false,
            return_token_ids: true,
            return_tokens_as_token_ids: true,
        }
    }
}

/// The body of an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Completion {
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
}

/// One continuation.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Choice {
    pub index: Option<i64>,
    #[serde(default)]
    pub text: String,
    pub finish_reason: Option<String>,
    pub logprobs: Option<Logprobs>,
    /// vLLM, SGLang.
    pub token_ids: Option<Vec<u32>>,
}

/// OpenAI's, vLLM's, SGLang's and llama-cpp-python's lists, or llama.cpp's `content`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Logprobs {
    pub tokens: Option<Vec<String>>,
    #[serde(rename = "token_logprobs")]
    pub of_tokens: Option<Vec<Option<f32>>>,
    pub content: Option<Vec<ContentToken>>,
    /// For each token, natural log-probabilities of the likeliest in its place by their texts.
    #[serde(default, rename = "top_logprobs")]
    pub alternatives: serde_json::Value,
}

/// One token of llama.cpp's server.
#[derive(Debug, Deserialize)]
pub(crate) struct ContentToken {
    pub id: Option<u32>,
    #[serde(default)]
    pub token: String,
    pub logprob: Option<f32>,
    /// The likeliest in its place, each as an object like this one.
    #[serde(default, rename = "top_logprobs")]
    pub alternatives: serde_json::Value,
}

/// Tokens as the server counts them.
#[derive(Debug, Deserialize)]
pub(crate) struct Usage {
    pub prompt_tokens: Option<usize>,
}

/// The answer of `GET /v1/models`.
#[derive(Debug, Deserialize)]
pub(crate) struct Models {
    pub data: Vec<Model>,
}

/// A model that a server has.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub id: String,
    /// vLLM, SGLang.
    max_model_len: Option<usize>,
    /// llama.cpp says `n_ctx` there, others whatever they like.
    #[serde(default)]
    meta: serde_json::Value,
}

impl Model {
    /// Longest prefix and continuation together, if the server says so.
    pub fn context(&self) -> Option<usize> {
        self.max_model_len.or_else(|| usize::try_from(self.meta["n_ctx"].as_u64()?).ok())
    }
}

/// What an error's body says, in whichever of the usual shapes, in one line.
pub(crate) fn error_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let fields: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let said = [&fields["error"]["message"], &fields["error"], &fields["message"], &fields["detail"]];
    let said = said.into_iter().find_map(|value| match value {
        serde_json::Value::String(message) => Some(message.clone()),
        serde_json::Value::Array(_) => Some(value.to_string()),
        _ => None,
    });
    let line = said.unwrap_or_else(|| text.into_owned()).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.is_empty() => "no message".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_where_each_server_says_it() {
        let context = |model: &str| serde_json::from_str::<Model>(model).unwrap().context();
        assert_eq!(context(r#"{"id": "m", "max_model_len": 4096}"#), Some(4096));
        assert_eq!(context(r#"{"id": "m", "max_model_len": null, "meta": {"n_ctx": 2048, "n_vocab": 9}}"#), Some(2048));
        for none in [r#"{"id": "m"}"#, r#"{"id": "m", "meta": "none"}"#, r#"{"id": "m", "meta": {"n_ctx": "many"}}"#] {
            assert_eq!(context(none), None, "{none}");
        }
    }

    #[test]
    fn a_request_is_the_api_s() {
        let sampling = SamplingConfig { repetition_penalty: 1.5, ..SamplingConfig::default() };
        let prompt = Prompt::Ids(vec![1, 2]);
        let stop = ["</step>".to_owned()];
        let mut ask = Ask {
            model: "m",
            prompt: &prompt,
            n: 1,
            max_tokens: 5,
            temperature: 0.5,
            top_p: 1.0,
            seed: 9,
            logprobs: 1,
            stop: &stop,
            extras: Some(Extras::new(&sampling, 320, 7)),
        };
        let body = serde_json::to_value(&ask).unwrap();
        let expected = serde_json::json!({
            "model": "m", "prompt": [1, 2], "n": 1, "max_tokens": 5, "temperature": 0.5, "top_p": 1.0, "seed": 9,
            "logprobs": 1, "stop": ["</step>"], "top_k": 320, "min_p": 0.0, "repetition_penalty": 1.5,
            "repeat_penalty": 1.5, "repeat_last_n": 7,
            "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"], "skip_special_tokens": false, "return_token_ids": true,
            "return_tokens_as_token_ids": true,
        });
        assert_eq!(body, expected);
        (ask.stop, ask.extras) = (&[], None);
        assert_eq!(serde_json::to_value(&ask).unwrap().as_object().unwrap().len(), 8);
    }

    #[test]
    fn errors_say_what_they_say_in_any_shape() {
        let cases = [
            (r#"{"error":{"message":"too\nlong","type":"x"}}"#, "too long"),
            (r#"{"object":"error","message":"no"}"#, "no"),
            (r#"{"error":"overloaded"}"#, "overloaded"),
            (r#"{"detail":[{"msg":"bad"}]}"#, r#"[{"msg":"bad"}]"#),
            ("<html>502</html>", "<html>502</html>"),
            ("", "no message"),
        ];
        for (body, said) in cases {
            assert_eq!(error_message(body.as_bytes()), said);
        }
        assert_eq!(error_message("é".repeat(999).as_bytes()).chars().count(), 303);
    }
}
