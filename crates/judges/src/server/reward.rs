//! Numbers of reward models: what vLLM and SGLang are sent, and what they answer.
//!
//! ```text
//!  vLLM   /pooling  {model, input: [..]}             data[i].data: a number, a list of classes, or one of either for each step
//!         /classify {model, input: [..]}             data[i].probs: a list of classes
//!         /score    {model, text_1: [..], text_2}    data[i].score
//!  SGLang /classify {model, text: [..]}              [i].embedding: a number, or a list of classes
//!         /v1/score {model, query, items, ..}        scores[i]: of the two tokens
//! ```

use super::config::{Endpoint, Output, ServerJudgeConfig};
use espalier_server::{no_number, probability, results};
use serde_json::{Value, json};

/// One text, with its question where an endpoint takes both.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub question: String,
    pub text: String,
}

/// Where a request goes, and its body.
pub(super) fn ask(config: &ServerJudgeConfig, model: &str, texts: &[Text]) -> (&'static str, Value) {
    let all: Vec<&str> = texts.iter().map(|one| one.text.as_str()).collect();
    match config.endpoint {
        Endpoint::Classify => ("/classify", json!({ "model": model, "input": all })),
        Endpoint::Score => {
            let questions: Vec<&str> = texts.iter().map(|one| one.question.as_str()).collect();
            ("/score", json!({ "model": model, "text_1": questions, "text_2": all }))
        }
        Endpoint::SglangClassify => ("/classify", json!({ "model": model, "text": all })),
        Endpoint::SglangScore => {
            let tokens = &config.yes_no_tokens;
            let body =
                json!({ "model": model, "query": "", "items": all, "label_token_ids": tokens, "apply_softmax": true });
            ("/v1/score", body)
        }
        Endpoint::Pooling | Endpoint::Chat | Endpoint::YesNo => ("/pooling", json!({ "model": model, "input": all })),
    }
}

/// The scores of an answer.
pub(super) fn scores(config: &ServerJudgeConfig, answer: &Value, count: usize) -> Result<Vec<f32>, String> {
    let score = |entry: &Value| match config.endpoint {
        Endpoint::Classify => match entry["probs"].as_array() {
            // Several of them are the softmax of their logits.
            Some(classes) if classes.len() > 1 => number(config, Output::Probability, &entry["probs"]),
            _ => number(config, config.output, &entry["probs"]),
        },
        Endpoint::Score => number(config, config.output, &entry["score"]),
        Endpoint::SglangClassify => number(config, config.output, &entry["embedding"]),
        Endpoint::SglangScore => entry[0].as_f64().ok_or_else(|| no_number(entry)).and_then(within),
        Endpoint::Pooling | Endpoint::Chat | Endpoint::YesNo => number(config, config.output, &entry["data"]),
    };
    results(answer, count)?.into_iter().map(score).collect()
}

/// The rewards of a path's steps, from the answer of /pooling to its text.
pub(super) fn of_steps(config: &ServerJudgeConfig, answer: &Value, steps: usize) -> Result<Vec<f32>, String> {
    let entry = results(answer, 1)?[0];
    let rewards = entry["data"].as_array().ok_or_else(|| no_number(entry))?;
    if rewards.len() != steps {
        let problem = format!("it answers {steps} steps with {} numbers", rewards.len());
        return Err(format!("{problem}; step_end has to be what its model ends a step with"));
    }
    rewards.iter().map(|reward| number(config, config.output, reward)).collect()
}

/// A number, alone or the right one of a list, as one from 0 to 1.
fn number(config: &ServerJudgeConfig, output: Output, value: &Value) -> Result<f32, String> {
    let mut value = value;
    // vLLM wraps the one vector of a text in a list.
    while let Some([inner]) = value.as_array().map(Vec::as_slice) {
        value = inner;
    }
    let numbers: Option<Vec<f64>> = match value.as_array() {
        Some(all) => all.iter().map(Value::as_f64).collect(),
        None => value.as_f64().map(|one| vec![one]),
    };
    let numbers = numbers.filter(|all| !all.is_empty() && all.iter().all(|one| one.is_finite()));
    let numbers = numbers.ok_or_else(|| no_number(value))?;
    config.score_of(output, &numbers)
}

impl ServerJudgeConfig {
    /// What numbers of a reward model, one or one for each label, say from 0 to 1.
    ///
    /// # Errors
    /// A label that they have not, and a number that is no probability where probabilities are expected.
    pub fn score(&self, numbers: &[f64]) -> Result<f32, String> {
        self.score_of(self.output, numbers)
    }

    fn score_of(&self, output: Output, numbers: &[f64]) -> Result<f32, String> {
        let label = self.label.filter(|_| numbers.len() > 1).unwrap_or(numbers.len().saturating_sub(1));
        let missing = || format!("label is {label}, but there are {} numbers", numbers.len());
        match output {
            Output::Probability => within(*numbers.get(label).ok_or_else(missing)?),
            Output::Logit => probability(numbers, Some(label)).map(|score| score as f32).ok_or_else(missing),
        }
    }
}

fn within(number: f64) -> Result<f32, String> {
    if (0.0..=1.0).contains(&number) {
        return Ok(number as f32);
    }
    Err(format!("its number is {number}, which is no probability; set output = \"logit\" if it is a logit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: Endpoint, output: Output, label: Option<usize>) -> ServerJudgeConfig {
        ServerJudgeConfig { endpoint, output, label, ..ServerJudgeConfig::default() }
    }

    fn one(config: &ServerJudgeConfig, answer: Value) -> Result<f32, String> {
        scores(config, &answer, 1).map(|scores| scores[0])
    }

    fn close(score: Result<f32, String>, expected: f64) -> bool {
        (f64::from(score.unwrap()) - expected).abs() < 1e-6
    }

    #[test]
    fn logits_are_mapped_and_probabilities_kept() {
        let logit = config(Endpoint::Pooling, Output::Logit, None);
        let pooled = |data: Value| json!({ "data": [{ "index": 0, "object": "pooling", "data": data }] });
        // 1 / (1 + e^-2), and e^-3 / (1 + e^-3).
        assert!(close(one(&logit, pooled(json!([2.0]))), 0.880_797_08));
        assert!(close(one(&logit, pooled(json!([[-3.0]]))), 0.047_425_87));
        assert!(close(one(&logit, pooled(json!(-800.0))), 0.0) && close(one(&logit, pooled(json!(800.0))), 1.0));
        // e^1 / (e^0 + e^1), and the other one.
        assert!(close(one(&logit, pooled(json!([0.0, 1.0]))), 0.731_058_58));
        assert!(close(
            one(&config(Endpoint::Pooling, Output::Logit, Some(0)), pooled(json!([0.0, 1.0]))),
            0.268_941_42
        ));
        let probability = config(Endpoint::Pooling, Output::Probability, None);
        assert!(close(one(&probability, pooled(json!([[0.25, 0.75]]))), 0.75));
        assert!(one(&probability, pooled(json!([2.0]))).unwrap_err().contains("logit"));
        for bad in [json!([]), json!("x"), json!(null), json!([null]), json!([[1.0, 2.0], [3.0, 4.0]])] {
            assert!(one(&logit, pooled(bad.clone())).is_err(), "{bad}");
        }
        assert!(one(&config(Endpoint::Pooling, Output::Logit, Some(2)), pooled(json!([0.0, 1.0]))).is_err());
    }

    #[test]
    fn every_endpoint_has_its_form() {
        let texts = [Text { question: "Q".into(), text: "A".into() }, Text { question: "R".into(), text: "B".into() }];
        let body = |endpoint| ask(&config(endpoint, Output::Logit, None), "m", &texts);
        assert_eq!(body(Endpoint::Pooling), ("/pooling", json!({ "model": "m", "input": ["A", "B"] })));
        assert_eq!(body(Endpoint::Classify), ("/classify", json!({ "model": "m", "input": ["A", "B"] })));
        assert_eq!(
            body(Endpoint::Score),
            ("/score", json!({ "model": "m", "text_1": ["Q", "R"], "text_2": ["A", "B"] }))
        );
        assert_eq!(body(Endpoint::SglangClassify), ("/classify", json!({ "model": "m", "text": ["A", "B"] })));
        let sglang =
            ServerJudgeConfig { yes_no_tokens: vec![9, 7], ..config(Endpoint::SglangScore, Output::Logit, None) };
        let expected =
            json!({ "model": "m", "query": "", "items": ["A", "B"], "label_token_ids": [9, 7], "apply_softmax": true });
        assert_eq!(ask(&sglang, "m", &texts), ("/v1/score", expected));
        let of = |endpoint, answer: Value| one(&config(endpoint, Output::Probability, None), answer);
        assert!(close(
            of(
                Endpoint::Classify,
                json!({ "data": [{ "index": 0, "label": "x", "probs": [0.4, 0.6], "num_classes": 2 }] })
            ),
            0.6
        ));
        assert!(close(of(Endpoint::Score, json!({ "data": [{ "index": 0, "object": "score", "score": 0.3 }] })), 0.3));
        assert!(close(of(Endpoint::SglangClassify, json!([{ "embedding": [0.2], "meta_info": {} }])), 0.2));
        assert!(close(one(&sglang, json!({ "scores": [[0.8, 0.2]], "model": "m" })), 0.8));
        let turned = json!({ "data": [{ "index": 1, "score": 0.2 }, { "index": 0, "score": 0.1 }] });
        assert_eq!(scores(&config(Endpoint::Score, Output::Probability, None), &turned, 2), Ok(vec![0.1, 0.2]));
        assert!(
            scores(&config(Endpoint::Score, Output::Probability, None), &turned, 3)
                .unwrap_err()
                .contains("3 texts with 2")
        );
        assert!(of(Endpoint::Score, json!({ "error": "x" })).is_err());
    }

    #[test]
    fn steps_have_a_reward_each() {
        let process = config(Endpoint::Pooling, Output::Probability, None);
        let answer = json!({ "data": [{ "index": 0, "data": [[0.1, 0.9], [0.7, 0.3]] }] });
        assert_eq!(of_steps(&process, &answer, 2), Ok(vec![0.9, 0.3]));
        assert_eq!(of_steps(&process, &json!({ "data": [{ "data": [0.5] }] }), 1), Ok(vec![0.5]));
        assert!(of_steps(&process, &answer, 3).unwrap_err().contains("step_end"));
    }
}
