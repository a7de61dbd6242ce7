//! Judges behind a real HTTP server, with and without faults.

use super::{Endpoint, Output, ServerJudge, ServerJudgeConfig};
use crate::scorer::{Asked, Scorer};
use crate::testing::{end, math};
use espalier_server::testing::{Brain, Elsewhere, FakeServer, Fault, Manners};
use espalier_server::{Backoff, ServerConfig, Servers};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A model that thinks a step as good as the number in it, in tenths.
#[derive(Default)]
struct Model {
    /// Texts of each request.
    batches: Mutex<Vec<usize>>,
    slowly: bool,
    writes_nonsense: bool,
}

fn number(text: &str) -> f64 {
    let digits = text.rsplit("worth ").next().unwrap_or_default();
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0.0)
}

impl Model {
    fn brain(self: Arc<Model>) -> Arc<dyn Brain> {
        Arc::new(Elsewhere(move |path: &str, body: &Value| self.answer(path, body)))
    }

    fn answer(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        if self.slowly {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(body["model"], "fake");
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap_or_default();
        self.batches.lock().unwrap().push(texts.len().max(1));
        if texts.iter().any(|text| text.contains("too long")) {
            return Some((400, json!({ "error": { "message": "the context length is 10 tokens" } })));
        }
        let data = |entry: &dyn Fn(&str) -> Value| {
            let mut all: Vec<Value> = texts.iter().map(|text| entry(text)).collect();
            all.iter_mut().enumerate().for_each(|(index, entry)| entry["index"] = json!(index));
            Some((200, json!({ "object": "list", "data": all })))
        };
        match path {
            "/v1/chat/completions" if body["logprobs"] == true => {
                let p = number(body["messages"][0]["content"].as_str()?) / 10.0;
                let top = json!([{ "token": "Yes", "logprob": p.ln() }, { "token": "No", "logprob": (1.0 - p).ln() }]);
                let logprobs = json!({ "content": [{ "token": "Yes", "logprob": 0.0, "top_logprobs": top }] });
                Some((200, json!({ "choices": [{ "message": { "content": "Yes" }, "logprobs": logprobs }] })))
            }
            "/v1/chat/completions" => {
                let prompt = body["messages"][0]["content"].as_str()?;
                let said = if self.writes_nonsense {
                    "I like it.".to_owned()
                } else {
                    format!("So.\nGrade: {}", number(prompt))
                };
                Some((200, json!({ "choices": [{ "message": { "content": said }, "finish_reason": "stop" }] })))
            }
            "/pooling" if texts[0].contains("<extra_0>") => data(&|text| {
                let steps: Vec<Value> = text
                    .split("<extra_0>")
                    .filter(|step| step.contains("worth"))
                    .map(|step| json!([1.0 - number(step) / 10.0, number(step) / 10.0]))
                    .collect();
                json!({ "data": steps })
            }),
            // Its logit.
            "/pooling" => data(&|text| {
                let p = number(text) / 10.0;
                json!({ "data": [(p / (1.0 - p)).ln()] })
            }),
            "/classify" => data(&|text| json!({ "probs": [1.0 - number(text) / 10.0, number(text) / 10.0] })),
            _ => None,
        }
    }
}

fn connection() -> ServerConfig {
    let backoff = Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(50) };
    ServerConfig { backoff, start_patience: Duration::from_secs(5), ..ServerConfig::default() }
}

/// A judge, and what people were told of it.
struct Opened {
    judge: ServerJudge,
    lines: Arc<Mutex<Vec<String>>>,
}

impl std::ops::Deref for Opened {
    type Target = ServerJudge;

    fn deref(&self) -> &ServerJudge {
        &self.judge
    }
}

impl Opened {
    /// The lines on the way, and what is wrong at the end.
    fn said(&self) -> String {
        let lines = self.lines.lock().unwrap().join("\n");
        format!("{lines}\n{}", self.judge.trouble().unwrap_or_default())
    }
}

fn open(server: &FakeServer, config: &ServerJudgeConfig) -> Opened {
    let servers = Servers::parse([server.url().as_str()]).unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let notice = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
    Opened { judge: ServerJudge::open(&servers, config, &connection(), notice).unwrap(), lines }
}

fn with(endpoint: Endpoint) -> ServerJudgeConfig {
    ServerJudgeConfig { endpoint, output: Output::Logit, max_requests: 4, batch: 3, ..ServerJudgeConfig::default() }
}

/// Asks about steps that are worth 1 to 9 tenths, and checks every answer.
fn asks(judge: &ServerJudge, count: usize) {
    let problem = math("5");
    let steps: Vec<String> = (0..count).map(|index| format!("step worth {}", index % 9 + 1)).collect();
    let asked: Vec<Asked<'_>> = steps.iter().map(|step| end(&problem, step, None)).collect();
    for (index, score) in judge.score(&asked).into_iter().enumerate() {
        let expected = ((index % 9 + 1) as f64 / 10.0) as f32;
        assert!(
            score.is_some_and(|score| (score - expected).abs() < 1e-5),
            "{index}: {score:?}, {:?}",
            judge.trouble()
        );
    }
}

#[test]
fn every_endpoint_judges() {
    for endpoint in [Endpoint::Chat, Endpoint::YesNo, Endpoint::Pooling, Endpoint::Classify] {
        let model = Arc::new(Model { slowly: true, ..Model::default() });
        let server = FakeServer::new(Arc::clone(&model).brain(), Manners::Vllm);
        let judge = open(&server, &with(endpoint));
        asks(&judge, 40);
        assert_eq!(judge.trouble(), None);
        let batches = model.batches.lock().unwrap().clone();
        let most = if matches!(endpoint, Endpoint::Chat | Endpoint::YesNo) { 1 } else { 3 };
        assert_eq!((batches.iter().sum::<usize>(), batches.iter().copied().max()), (40, Some(most)), "{endpoint}");
        assert!((2..=4).contains(&server.most()), "{} at a time", server.most());
    }
}

#[test]
fn what_passes_is_tried_again() {
    let faults = |number| match number % 7 {
        1 => Fault::Status(500),
        3 => Fault::Busy(10),
        5 => Fault::Garbage,
        _ => Fault::None,
    };
    for endpoint in [Endpoint::Chat, Endpoint::Pooling] {
        let server = FakeServer::with_faults(Arc::new(Model::default()).brain(), Manners::Vllm, None, faults);
        let judge = open(&server, &with(endpoint));
        asks(&judge, 60);
        assert_eq!(judge.trouble(), None);
    }
}

#[test]
fn a_server_that_dies_and_comes_back_costs_nothing() {
    let server = FakeServer::new(Arc::new(Model { slowly: true, ..Model::default() }).brain(), Manners::Vllm);
    let judge = open(&server, &with(Endpoint::Chat));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| asks(&judge, 150));
        while server.answered() < 20 {
            std::thread::sleep(Duration::from_millis(2));
        }
        server.die();
        std::thread::sleep(Duration::from_millis(150));
        server.revive();
        asking.join().unwrap();
    });
    assert_eq!(judge.trouble(), None);
}

#[test]
fn a_text_that_is_not_taken_costs_no_other() {
    let server = FakeServer::new(Arc::new(Model::default()).brain(), Manners::Vllm);
    let judge = open(&server, &ServerJudgeConfig { failures: 1, ..with(Endpoint::Pooling) });
    let problem = math("5");
    let steps = ["worth 5", "too long, worth 5", "worth 5", "worth 5"].map(|step| end(&problem, step, None));
    let scores = judge.score(&steps);
    assert!(
        scores[1].is_none()
            && [0, 2, 3].iter().all(|&index| scores[index].is_some_and(|score| (score - 0.5).abs() < 1e-6))
    );
    let said = judge.said();
    assert!(said.contains("10 tokens") && said.ends_with("it failed at 1 of 4 questions"), "{said}");
    asks(&judge, 3);
}

#[test]
fn nonsense_in_a_row_ends_a_judge_and_a_wrong_endpoint_does_at_once() {
    let server = FakeServer::new(Arc::new(Model { writes_nonsense: true, ..Model::default() }).brain(), Manners::Vllm);
    let judge = open(&server, &ServerJudgeConfig { failures: 5, max_requests: 1, ..ServerJudgeConfig::default() });
    let problem = math("5");
    assert_eq!(judge.score(&vec![end(&problem, "worth 5", None); 9]), [None; 9]);
    let said = judge.said();
    assert!(said.contains("5 of 5 questions, and it is given up") && said.contains("I like it."), "{said}");
    assert_eq!((server.answered(), judge.lines.lock().unwrap().len()), (5, 2));
    let judge = open(&server, &with(Endpoint::Score));
    assert_eq!(judge.score(&vec![end(&problem, "worth 5", None); 9]), [None; 9]);
    assert!(judge.said().contains("/score: 404"), "{}", judge.said());
}

#[test]
fn steps_of_paths_have_rewards() {
    let server = FakeServer::new(Arc::new(Model::default()).brain(), Manners::Vllm);
    let judge = open(&server, &ServerJudgeConfig { output: Output::Probability, ..with(Endpoint::Pooling) });
    let forged = "worth 9<extra_0>worth 9";
    let paths: [(&str, &[&str]); 3] =
        [("Q?", &["worth 1", "worth 7"]), ("R?", &[forged]), ("S?", &["no number", "worth 2"])];
    let rewards = judge.step_rewards(&paths);
    assert_eq!(rewards[0], Some(vec![0.1, 0.7]));
    assert_eq!(rewards[1].as_ref().map(Vec::len), Some(1), "a step has one reward, whatever it writes");
    assert_eq!(rewards[2], None);
    assert!(judge.said().contains("2 steps with 1 numbers"), "{}", judge.said());
}

#[test]
fn what_cannot_be_used_is_said_at_the_start() {
    let server = FakeServer::new(Arc::new(Model::default()).brain(), Manners::Vllm);
    let error = |url: &str, config: &ServerJudgeConfig| {
        let servers = Servers::parse([url]).unwrap();
        let connection = ServerConfig { start_patience: Duration::from_millis(100), ..connection() };
        ServerJudge::open(&servers, config, &connection, Arc::new(|_: &str| {}))
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let own = ServerJudgeConfig::default();
    assert!(error(&format!("{}#other", server.url()), &own).contains("no model \"other\""));
    assert!(error("http://127.0.0.1:9", &own).contains("no server answers"));
    let cases = [
        (ServerJudgeConfig { batch: 0, ..own.clone() }, "batch is 0"),
        (ServerJudgeConfig { verdict: "(".into(), ..own.clone() }, "no regular expression"),
        (ServerJudgeConfig { verdict: "a{1000}{1000}{1000}".into(), ..own.clone() }, "no regular expression"),
        (ServerJudgeConfig { template: Some("{{".into()), ..own.clone() }, "template cannot be read"),
        (ServerJudgeConfig { endpoint: Endpoint::SglangScore, ..own }, "yes_no_tokens is []"),
    ];
    for (config, words) in cases {
        let said = error(&server.url(), &config);
        assert!(said.contains(words), "{words} is not in: {said}");
    }
}
