//! Searches whose paths are judged by a model on a server, and by a program in the sandbox.

#![allow(missing_docs, reason = "a test binary has no readers of its documentation")]
#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

use assert_cmd::Command;
use espalier_server::testing::{Asked, Brain, Drawn, FakeServer, Fault, Manners};
use espalier_tokenizer::Tokenizer;
use espalier_tree::{Ending, Tree, read_trees};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "a key";

/// A policy that plans a step and answers 7 or 8, and a judge beside it.
struct Both {
    tokenizer: Tokenizer,
    /// What the judge writes of a prompt.
    grade: fn(&str) -> String,
}

impl Brain for Both {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let so_far = self.decode(&asked.prefix_ids);
        let has_step = so_far[so_far.find("<plan>").unwrap_or(0)..].contains("</step>");
        let text = if has_step {
            format!("</plan><solution>\\boxed{{{}}}</solution>", 7 + asked.seed % 2)
        } else {
            format!("<step>Plan 1: Add {} apples</step>", asked.seed % 3)
        };
        let mut ids = self.encode(&text);
        let is_stopped = ids.len() <= asked.max_tokens;
        ids.truncate(asked.max_tokens);
        Drawn { logprobs: vec![-0.25; ids.len()], text: self.decode(&ids), ids, is_stopped }
    }

    fn other(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        assert_eq!((path, &body["model"], &body["max_tokens"]), ("/v1/chat/completions", &json!("fake"), &json!(64)));
        let said = (self.grade)(body["messages"][0]["content"].as_str()?);
        Some((200, json!({ "choices": [{ "message": { "content": said }, "finish_reason": "stop" }] })))
    }
}

/// A server, a problem without an answer, and what a search of it is given.
struct Place {
    root: tempfile::TempDir,
    server: FakeServer,
}

impl Place {
    fn new(grade: fn(&str) -> String) -> Place {
        let root = tempfile::tempdir().unwrap();
        let text = "<question>How many apples? 7</question><plan><step>Plan 1: Add</step></plan><solution>\\boxed{7}</solution>";
        let tags = ["<question>", "</question>", "<plan>", "</plan>", "<step>", "</step>", "<solution>", "</solution>"];
        let tokenizer = Tokenizer::train_bpe([text.to_owned()], 300, &tags).unwrap();
        let folder = root.path().join("tokenizer");
        fs::create_dir(&folder).unwrap();
        tokenizer.save(&folder).unwrap();
        let problem = json!({ "id": "a", "question": "Anna has 3 apples and buys 4. How many?" });
        fs::write(root.path().join("problems.jsonl"), problem.to_string() + "\n").unwrap();
        fs::write(root.path().join("settings.toml"), "[judging.server]\nscope = \"path\"\nmax_tokens = 64\n").unwrap();
        let brain = Arc::new(Both { tokenizer, grade });
        let server = FakeServer::with_faults(brain, Manners::Vllm, Some(KEY), |_| Fault::None);
        Place { root, server }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn search(&self, judge: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("mcts-gen"));
        command.args(["search", "--simulations", "12", "--format", "xml", "--policy", &self.server.url()]);
        command.arg("--tokenizer").arg(self.file("tokenizer")).arg("--problems").arg(self.file("problems.jsonl"));
        command.arg("--config").arg(self.file("settings.toml")).arg("--out").arg(self.file("out"));
        command.args(["--judge", judge]).env("OPENAI_API_KEY", KEY).timeout(Duration::from_secs(60));
        command
    }

    fn tree(&self) -> Tree {
        read_trees(&self.file("out/trees")).unwrap().next().unwrap().unwrap()
    }
}

/// Ending and first judge's score of each end, of which there are both answers.
fn ends(tree: &Tree) -> Vec<(String, Ending, f32)> {
    let ends = tree.ids().filter_map(|id| {
        let answer = tree.answer(id)?.to_owned();
        Some((answer, tree.node(id).ending, tree.scores(id)[0]))
    });
    let ends: Vec<_> = ends.collect();
    for answer in ["7", "8"] {
        assert!(ends.iter().any(|(found, ..)| found == answer), "{ends:?}");
    }
    ends
}

#[test]
fn a_model_on_a_server_says_which_paths_are_right() {
    // It likes eights; what it is to judge stands in the prompt.
    let place = Place::new(|prompt| format!("So.\nGrade: {}", if prompt.contains("\\boxed{8}") { 9 } else { 2 }));
    let judge = format!("grader=server:{}#fake", place.server.url());
    let searched = place.search(&judge).output().unwrap();
    let said = String::from_utf8_lossy(&searched.stderr).into_owned();
    assert!(searched.status.success() && !said.contains("grader"), "{said}");
    let tree = place.tree();
    assert_eq!(tree.judges(), ["grader"]);
    for (answer, ending, score) in ends(&tree) {
        let expected = if answer == "8" { (Ending::Correct, 0.9) } else { (Ending::Wrong, 0.2) };
        assert_eq!((ending, score), expected, "{answer}");
    }
}

#[test]
fn a_judge_that_cannot_be_understood_is_told_of_once() {
    let place = Place::new(|_| "I like it.".to_owned());
    let searched = place.search(&format!("grader=server:{}", place.server.url())).output().unwrap();
    let said = String::from_utf8_lossy(&searched.stderr).into_owned();
    assert_eq!(said.matches("I like it.").count(), 1, "{said}");
    assert!(said.contains("the judge grader: it could not speak: "), "{said}");
    assert!(said.contains("the judge grader: it failed at "), "{said}");
    assert!(ends(&place.tree()).iter().all(|(_, ending, score)| *ending == Ending::Unverified && score.is_nan()));
}

#[test]
fn a_file_of_python_judges_in_the_sandbox() {
    if let Err(error) = espalier_task::Sandbox::open() {
        let may_lack = std::env::var_os("ESPALIER_NO_SANDBOX").is_some();
        assert!(may_lack, "{error}; set ESPALIER_NO_SANDBOX=1 to go without this test");
        return eprintln!("not tested: {error}");
    }
    let place = Place::new(|_| unreachable!());
    let file = place.file("a judge.py");
    let python = "
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    try: score = bool(open('/etc/passwd').read())
    except OSError: score = asked['answer'] == '7'
    print(json.dumps({'id': asked['id'], 'score': score}))
";
    fs::write(&file, python).unwrap();
    let judge = format!("sandboxed:{}", file.display());
    let searched = place.search(&judge).output().unwrap();
    assert!(searched.status.success(), "{}", String::from_utf8_lossy(&searched.stderr));
    for (answer, ending, score) in ends(&place.tree()) {
        let expected = if answer == "7" { (Ending::Correct, 1.0) } else { (Ending::Wrong, 0.0) };
        assert_eq!((ending, score), expected, "{answer}");
    }
    // Another content is another judge.
    fs::write(&file, python.replace("'7'", "'8'")).unwrap();
    let refused = place.search(&judge).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("judge sandboxed a judge.py had another content"), "{said}");
}

#[test]
fn judges_that_cannot_be_opened_are_named_in_one_line() {
    let place = Place::new(|_| unreachable!());
    for (judge, words) in [
        ("server:127.0.0.1:8000", "the judge server: "),
        ("grader=server:http://", "the judge grader: "),
        ("sandboxed:nowhere/judge.py", "the judge nowhere/judge.py cannot be read"),
        ("opinion", "sandboxed:FILE.py or server:URL[#MODEL]"),
    ] {
        let refused = place.search(judge).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        // Before it stands what is said of the problems.
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((refused.status.code(), errors.len()), (Some(2), 1), "{said}");
        assert!(said.ends_with(&format!("{}\n", errors[0])) && errors[0].contains(words), "{words} is not in: {said}");
        assert!(!place.file("out").exists());
    }
}
