//! `mcts-gen` as a user of servers builds it, without LibTorch: a search over a server, its pairs, its trees.

#![allow(missing_docs, reason = "a test binary has no readers of its documentation")]
#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

use assert_cmd::Command;
use espalier_server::testing::{Asked, Brain, Drawn, FakeServer, Manners};
use espalier_tokenizer::Tokenizer;
use espalier_tree::{Ending, read_pairs, read_trees};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;

/// A model that plans two steps and then answers, right or wrong by the seed.
struct TwoSteps(Tokenizer);

impl Brain for TwoSteps {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.0.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.0.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let so_far = self.decode(&asked.prefix_ids);
        let steps = so_far[so_far.find("<plan>").unwrap_or(0)..].matches("</step>").count();
        let text = match steps {
            0 | 1 => format!("<step>Plan {}: Add {} apples</step>", steps + 1, asked.seed % 3),
            _ => format!("</plan><solution>\\boxed{{{}}}</solution>", 7 + asked.seed % 2),
        };
        let mut ids = self.encode(&text);
        let is_stopped = ids.len() <= asked.max_tokens;
        ids.truncate(asked.max_tokens);
        Drawn { logprobs: vec![-0.25; ids.len()], text: self.decode(&ids), ids, is_stopped }
    }
}

fn mcts_gen() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin("mcts-gen"))
}

/// What a process that serves has printed first, and the process.
struct Served(Child, String);

impl Served {
    fn new(args: &[&str], envs: &[(&str, &str)]) -> Served {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("mcts-gen"));
        let mut child = command.args(args).envs(envs.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("serving at ").unwrap_or_else(|| panic!("it says {line:?}")).to_owned();
        Served(child, url.strip_suffix("/v1").unwrap().to_owned())
    }

    /// The answer to a JSON body, by a client that knows the key.
    fn post(&self, path: &str, body: &Value) -> Value {
        let address = self.1.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        let body = body.to_string();
        let head = "Host: x\r\nContent-Type: application/json\r\nAuthorization: Bearer k\r\nConnection: close";
        write!(connection, "POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut said = String::new();
        connection.read_to_string(&mut said).unwrap();
        serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|_| panic!("{said}"))
    }

    /// The exit code after the signal that asks for an end.
    fn ended(mut self) -> Option<i32> {
        let killed = std::process::Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(killed.success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server's model behind our own server, searched by it and through it.
#[test]
fn a_server_is_served_and_searched() {
    let root = tempfile::tempdir().unwrap();
    let (tokenizer, folder) = tokenizer_in(root.path());
    let server = FakeServer::new(Arc::new(TwoSteps(tokenizer)), Manners::Vllm);
    let (url, folder) = (server.url(), folder.to_str().unwrap());
    let flags = [
        "serve",
        "--port",
        "0",
        "--policy",
        &url,
        "--tokenizer",
        folder,
        "--format",
        "xml",
        "--search",
        "--search-tokens",
        "500",
    ];
    let served = Served::new(&flags, &[("ESPALIER_API_KEY", "k")]);
    let question =
        json!({ "messages": [{ "role": "user", "content": "Anna has 3 apples and buys 4. How many?" }], "seed": 3 });
    let answer = served.post("/v1/chat/completions", &question);
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(text.contains("<step>Plan 1") && text.contains("\\boxed{") && text.ends_with("</solution>"), "{text}");
    let spent = answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert!((100..500).contains(&spent), "{answer}");
    assert_eq!(served.post("/v1/chat/completions", &question)["choices"], answer["choices"]);
    // Fewer tokens, fewer steps; one that is not enough for a solution is said.
    let few = served
        .post("/v1/chat/completions", &json!({ "messages": question["messages"], "search_tokens": 1, "seed": 3 }));
    assert!(few["error"]["message"].as_str().is_some_and(|said| said.contains("no solution")), "{few}");
    let two = json!({ "messages": [{ "role": "system", "content": "x" }, { "role": "user", "content": "y" }] });
    assert_eq!(served.post("/v1/chat/completions", &two)["error"]["param"], "messages");
    assert_eq!(served.post("/value", &json!({ "prompt": "x" }))["error"]["type"], "invalid_request_error");
    // And what is asked of it as of any server.
    let problems = root.path().join("problems.jsonl");
    fs::write(
        &problems,
        "{\"id\": \"a\", \"question\": \"Anna has 3 apples and buys 4. How many?\", \"answer\": \"7\"}\n",
    )
    .unwrap();
    let out = root.path().join("out");
    let mut search = mcts_gen();
    search.args([
        "search",
        "--simulations",
        "8",
        "--format",
        "xml",
        "--policy",
        &served.1,
        "--tokenizer",
        folder,
        "--problems",
    ]);
    search.arg(&problems).arg("--out").arg(&out).env("OPENAI_API_KEY", "k").timeout(std::time::Duration::from_secs(60));
    let searched = search.output().unwrap();
    assert!(searched.status.success(), "{}", String::from_utf8_lossy(&searched.stderr));
    assert!(read_trees(&out.join("trees")).unwrap().next().unwrap().unwrap().len() > 5);
    assert_eq!(served.ended(), Some(0));

    // What must not be served is refused before anything is loaded.
    let open = mcts_gen()
        .args(["serve", "--host", "0.0.0.0", "--port", "0", "--policy", &url, "--tokenizer", folder])
        .env_remove("ESPALIER_API_KEY")
        .output()
        .unwrap();
    assert_eq!(open.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&open.stderr).contains("--api-key"), "{open:?}");
}

/// A tokenizer that knows the tags, and where it is saved.
fn tokenizer_in(root: &Path) -> (Tokenizer, PathBuf) {
    let texts =
        ["<question>How many apples? 7</question><plan><step>Plan 1: Add</step></plan><solution>\\boxed{7}</solution>"];
    let tags = ["<question>", "</question>", "<plan>", "</plan>", "<step>", "</step>", "<solution>", "</solution>"];
    let tokenizer = Tokenizer::train_bpe(texts.iter().map(|text| (*text).to_owned()), 300, &tags).unwrap();
    let folder = root.join("tokenizer");
    fs::create_dir(&folder).unwrap();
    tokenizer.save(&folder).unwrap();
    (tokenizer, folder)
}

#[test]
fn servers_need_no_libtorch() {
    let root = tempfile::tempdir().unwrap();
    let (tokenizer, folder) = tokenizer_in(root.path());
    let problems = root.path().join("problems.jsonl");
    fs::write(
        &problems,
        "{\"id\": \"a\", \"question\": \"Anna has 3 apples and buys 4. How many?\", \"answer\": \"7\"}\n",
    )
    .unwrap();
    let server = FakeServer::new(Arc::new(TwoSteps(tokenizer)), Manners::Vllm);
    let out = root.path().join("out");
    let search = |policy: &str| {
        let mut command = mcts_gen();
        command.args(["search", "--simulations", "12", "--format", "xml", "--policy", policy, "--problems"]);
        command.timeout(std::time::Duration::from_secs(60));
        command.arg(&problems).arg("--out").arg(&out);
        command
    };
    let searched = search(&server.url()).arg("--tokenizer").arg(&folder).output().unwrap();
    assert!(searched.status.success(), "{}", String::from_utf8_lossy(&searched.stderr));
    let trees: Vec<_> = read_trees(&out.join("trees")).unwrap().map(Result::unwrap).collect();
    let ends = |ending| trees[0].ids().filter(|&id| trees[0].node(id).ending == ending).count();
    assert!(trees.len() == 1 && ends(Ending::Correct) > 0 && ends(Ending::Wrong) > 0, "both answers are found");
    assert!(!read_pairs(&out.join("pairs")).unwrap().is_empty());
    let shown = mcts_gen().args(["show", "--check", "--trees"]).arg(out.join("trees")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "1 trees checked, 0 violations\n");

    // Without LibTorch a model's folder is refused in one line that says what to do; with it this folder has no model.
    let refused = search(folder.to_str().unwrap()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&refused.stderr).lines().count(), 1);
}
