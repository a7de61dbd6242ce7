//! Our own server with a model of ours behind it, as a user runs it: what it gives is what the folder gives.

use crate::servers::FolderBrain;
use crate::tiny::{finished, mcts_gen, process, shared, succeed, text};
use espalier_policy::{Scoring, score};
use espalier_server::testing::{FakeServer, Manners};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const PROMPT: &str = "<question>Anna has 3 apples and buys 4 more. How many apples has she?</question><plan>";

/// A process that serves; its client has no key to send.
pub struct Served {
    child: Child,
    pub url: String,
}

impl Served {
    pub fn new(args: &[&str]) -> Served {
        let mut command = process("mcts-gen");
        command.args(["serve", "--port", "0", "--threads", "1"]).args(args).env_remove("ESPALIER_API_KEY");
        Served::of(command)
    }

    /// A process that says where it serves.
    pub fn of(mut command: std::process::Command) -> Served {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("serving at ").unwrap_or_else(|| panic!("it says {line:?}"));
        Served { url: url.strip_suffix("/v1").unwrap().to_owned(), child }
    }

    /// The body of the answer to a JSON body, whole or as a stream.
    fn said(&self, path: &str, body: &Value) -> String {
        let mut connection = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let body = body.to_string();
        let head = "Host: x\r\nContent-Type: application/json\r\nConnection: close";
        write!(connection, "POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut said = String::new();
        connection.read_to_string(&mut said).unwrap();
        said.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let said = self.said(path, body);
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
    }

    /// The exit code after the signal that asks for an end.
    pub fn ended(mut self) -> Option<i32> {
        assert!(std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn search(url: &str, folder: &Path, out: &Path) -> Vec<Vec<u8>> {
    let mut command = mcts_gen();
    command.args(["search", "--policy", url, "--simulations", "20", "--temperature", "1.2", "--max-step-tokens", "60"]);
    command.args(["--evaluation", "rollouts:1", "--shard-trees", "1", "--max-rows", "4", "--limit", "4", "--problems"]);
    command.arg(shared().1.join("problems/warm_start.jsonl")).arg("--tokenizer").arg(folder).arg("--out").arg(out);
    let said = text(&succeed(&mut command).stdout);
    assert!(said.contains(" 0 of them failed"), "{said}");
    let mut paths: Vec<PathBuf> = fs::read_dir(out.join("trees")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn a_search_over_the_server_is_that_over_the_policy() {
    let root = tempfile::tempdir().unwrap();
    let folder = finished().join("policy-002");
    // The same policy behind the fake server, which asks it directly, one request at a time.
    let fake = FakeServer::new(FolderBrain::new(&folder), Manners::Vllm);
    let expected = search(&fake.url(), &folder, &root.path().join("fake"));
    let served = Served::new(&["--name", "fake", "--policy", folder.to_str().unwrap()]);
    let found = search(&served.url, &folder, &root.path().join("own"));
    assert!(found.len() == 4 && found == expected, "the trees differ");
    assert_eq!(served.ended(), Some(0));
}

#[test]
fn texts_are_drawn_scored_and_valued_as_the_folder_does() {
    let folder = finished().join("policy-003");
    let served = Served::new(&["--policy", folder.to_str().unwrap()]);
    let ask =
        json!({ "prompt": PROMPT, "max_tokens": 60, "temperature": 1.3, "seed": 7, "n": 3, "stop": ["</solution>"] });
    let whole = served.post("/v1/completions", &ask);
    let choices = whole["choices"].as_array().unwrap_or_else(|| panic!("{whole}"));
    assert!(choices.len() == 3 && choices[0]["text"] != choices[1]["text"], "{whole}");
    // A stream of it, in chunks of HTTP: each event is a line of its own.
    let mut streamed = ask.clone();
    streamed["stream"] = json!(true);
    let said = served.said("/v1/completions", &streamed);
    let events: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    assert!(events.len() > 10 && said.contains("data: [DONE]"), "{} events", events.len());
    for (row, choice) in choices.iter().enumerate() {
        let pieces = events.iter().map(|event| &event["choices"][0]).filter(|piece| piece["index"] == row);
        assert_eq!(
            pieces.map(|piece| piece["text"].as_str().unwrap()).collect::<String>(),
            choice["text"].as_str().unwrap()
        );
    }
    // Scores and values against those of the model by itself.
    let asked = json!({ "prompt": PROMPT, "max_tokens": 0, "echo": true, "logprobs": 0, "return_token_ids": true });
    let scored = served.post("/v1/completions", &asked);
    let choice = &scored["choices"][0];
    let ids: Vec<u32> = serde_json::from_value(choice["prompt_token_ids"].clone()).unwrap();
    let model = espalier_model::Transformer::load(&folder, tch::Device::Cpu, tch::Kind::Float).unwrap();
    let texts: Vec<Scoring> = (1..=ids.len()).map(|end| Scoring { ids: ids[..end].to_vec(), prompt_len: 1 }).collect();
    let wanted = score(&model, &texts).unwrap();
    let listed: Vec<Option<f32>> = serde_json::from_value(choice["logprobs"]["token_logprobs"].clone()).unwrap();
    assert_eq!((listed[0], listed.len()), (None, ids.len()));
    for (found, wanted) in listed[1..].iter().zip(&wanted[ids.len() - 1].logprobs) {
        assert!((found.unwrap() - wanted).abs() < 1e-4, "{found:?} is not {wanted}");
    }
    let ends: Vec<usize> = (1..=ids.len()).collect();
    let valued = served.post("/value", &json!({ "prompt": ids, "ends": ends }));
    let values: Vec<f32> = serde_json::from_value(valued["data"][0]["values"].clone()).unwrap();
    for (found, wanted) in values.iter().zip(&wanted) {
        assert!((found - wanted.value.unwrap()).abs() < 1e-5, "{found} is not {:?}", wanted.value);
    }
    assert_eq!(values.len(), ids.len());
    let pooled = served.post("/pooling", &json!({ "input": ids }));
    assert_eq!(pooled["data"][0]["data"][0], valued["data"][0]["values"][ids.len() - 1]);
    // This folder has no chat template; a search answers chat in the policy's own task.
    let question = json!({ "messages": [{ "role": "user", "content": "Anna has 3 apples and buys 4 more. How many?" }], "seed": 1 });
    let refused = served.post("/v1/chat/completions", &question);
    assert_eq!(refused["error"]["param"], "messages", "{refused}");
    assert_eq!(served.ended(), Some(0));
}
