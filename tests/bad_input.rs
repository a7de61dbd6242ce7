//! Bad input: exit code 2, one line that names the value, nothing half-written.

use crate::tiny::{finished, mcts_gen, shared, step_train, text};
use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};

/// The command fails as promised, its message, returned, holds every one of `words`, and `out` does not come into being.
fn fails(command: &mut Command, out: &Path, words: &[&str]) -> String {
    let output = command.output().expect("the executable starts");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(!out.exists(), "{} was left behind: {message}", out.display());
    message
}

/// As [`fails`], for what the program finds itself: the message is one line.
fn fails_in_one_line(command: &mut Command, out: &Path, words: &[&str]) {
    let message = fails(command, out, words);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.starts_with("error: "), "{message}");
}

struct Inputs {
    root: tempfile::TempDir,
    problems: PathBuf,
    policy: PathBuf,
}

impl Inputs {
    fn new() -> Inputs {
        Inputs {
            root: tempfile::tempdir().unwrap(),
            problems: shared().1.join("problems/held_out.jsonl"),
            policy: shared().1.join("policy-000"),
        }
    }

    fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.root.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A copy of the policy's folder, to break something in it.
    fn policy_copy(&self) -> PathBuf {
        let copy = self.root.path().join("policy");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&self.policy).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    }

    fn search(problems: &Path, policy: &Path, out: &Path) -> Command {
        let mut command = mcts_gen();
        command.args(["search", "--simulations", "2", "--problems"]).arg(problems);
        command.arg("--policy").arg(policy).arg("--out").arg(out);
        command
    }

    fn search_of(&self, problems: &Path) -> Command {
        Self::search(problems, &self.policy, &self.out())
    }
}

#[test]
fn problems() {
    let inputs = Inputs::new();
    let missing = inputs.root.path().join("nowhere.jsonl");
    fails_in_one_line(&mut inputs.search_of(&missing), &inputs.out(), &["nowhere.jsonl"]);
    let broken = inputs.file("broken.jsonl", b"{\"question\": \"1 + 1?\", \"answer\": \"2\"}\n{\"question\": \"2 +\n");
    fails_in_one_line(&mut inputs.search_of(&broken), &inputs.out(), &["broken.jsonl:2"]);
    let empty = inputs.file("empty.jsonl", b"");
    fails_in_one_line(&mut inputs.search_of(&empty), &inputs.out(), &["empty.jsonl"]);
    let truncated = inputs.file("cut.parquet", b"PAR1 not all of it");
    fails_in_one_line(&mut inputs.search_of(&truncated), &inputs.out(), &["cut.parquet"]);
}

#[test]
fn policies() {
    let inputs = Inputs::new();
    let missing = inputs.root.path().join("nowhere");
    fails_in_one_line(&mut Inputs::search(&inputs.problems, &missing, &inputs.out()), &inputs.out(), &["nowhere"]);
    let policy = inputs.policy_copy();
    fs::remove_file(policy.join("tokenizer.json")).unwrap();
    fails_in_one_line(
        &mut Inputs::search(&inputs.problems, &policy, &inputs.out()),
        &inputs.out(),
        &["tokenizer.json"],
    );
}

#[test]
fn weights_of_a_wrong_shape() {
    let inputs = Inputs::new();
    let policy = inputs.policy_copy();
    let config = fs::read_to_string(policy.join("config.json")).unwrap();
    let wrong = config.replace("\"intermediate_size\": 96", "\"intermediate_size\": 100");
    assert_ne!(wrong, config);
    fs::write(policy.join("config.json"), wrong).unwrap();
    let words = ["mlp", "96", "100"];
    fails_in_one_line(&mut Inputs::search(&inputs.problems, &policy, &inputs.out()), &inputs.out(), &words);

    let weights = fs::read(inputs.policy.join("model.safetensors")).unwrap();
    fs::write(policy.join("config.json"), config).unwrap();
    fs::write(policy.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    let words = ["model.safetensors"];
    fails_in_one_line(&mut Inputs::search(&inputs.problems, &policy, &inputs.out()), &inputs.out(), &words);
}

#[test]
fn truncated_shards() {
    let inputs = Inputs::new();
    let trees = inputs.root.path().join("trees");
    fs::create_dir(&trees).unwrap();
    let shard = fs::read(finished().join("round-001/trees/part-00000.parquet")).unwrap();
    fs::write(trees.join("part-00000.parquet"), &shard[..shard.len() / 2]).unwrap();
    let mut command = mcts_gen();
    command.args(["pairs", "--trees"]).arg(&trees).arg("--out").arg(inputs.out());
    fails_in_one_line(&mut command, &inputs.out(), &["part-00000.parquet"]);
    let mut command = step_train();
    command.args(["prefer", "--pairs"]).arg(&trees).arg("--policy").arg(&inputs.policy).arg("--out").arg(inputs.out());
    fails_in_one_line(&mut command, &inputs.out(), &["part-00000.parquet"]);
    assert!(!inputs.root.path().join("out-train").exists(), "work was left behind");
}

#[test]
fn outputs() {
    let inputs = Inputs::new();
    // A file where a folder should be: also root cannot write there.
    let file = inputs.file("file", b"");
    let out = file.join("out");
    fails_in_one_line(&mut Inputs::search(&inputs.problems, &inputs.policy, &out), &out, &["file/out", "not writable"]);
    let mut command = step_train();
    command.args(["init", "--out"]).arg(&out);
    fails_in_one_line(&mut command, &out, &["file"]);
}

#[test]
fn flags() {
    let inputs = Inputs::new();
    for (flag, value, words) in [
        ("--simulations", "0", ["simulations", "0"]),
        ("--temperature", "-1", ["temperature", "-1"]),
        ("--k", "0", ["k", "0"]),
        ("--c-puct", "NaN", ["--c-puct", "NaN"]),
        ("--c-puct", "-1", ["c_puct", "-1"]),
        ("--device", "tpu", ["device", "tpu"]),
        ("--format", "yaml", ["xml", "yaml"]),
        ("--rule", "best", ["best_worst", "\"best\""]),
    ] {
        let mut command = inputs.search_of(&inputs.problems);
        // The flag as one word, so that a minus sign is a number's; --simulations is given twice otherwise.
        if flag == "--simulations" {
            command = mcts_gen();
            command.arg("search").arg("--problems").arg(&inputs.problems).arg("--policy").arg(&inputs.policy);
            command.arg("--out").arg(inputs.out());
        }
        command.arg(format!("{flag}={value}"));
        fails(&mut command, &inputs.out(), &words);
    }
    let mut command = step_train();
    command.args(["prefer", "--loss", "dpoo", "--pairs"]).arg(finished().join("round-001/pairs"));
    command.arg("--policy").arg(&inputs.policy).arg("--out").arg(inputs.out());
    fails_in_one_line(&mut command, &inputs.out(), &["dpoo", "step_apo"]);
}

#[test]
fn an_output_of_something_else_is_not_touched() {
    let inputs = Inputs::new();
    let out = inputs.out();
    // A policy that knows nothing finds nothing: trees all the same.
    assert_eq!(inputs.search_of(&inputs.problems).output().unwrap().status.code(), Some(1));
    let manifest = fs::read(out.join("trees/manifest.json")).unwrap();
    let output = inputs.search_of(&inputs.problems).args(["--temperature", "0.9"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("choose another --out"));
    assert_eq!(fs::read(out.join("trees/manifest.json")).unwrap(), manifest);
}

#[test]
fn one_bad_problem_is_named_and_the_others_are_searched() {
    let inputs = Inputs::new();
    let good = fs::read_to_string(&inputs.problems).unwrap();
    // Longer than the policy's context.
    let endless = format!("{{\"id\": \"endless\", \"question\": \"{}\", \"answer\": \"1\"}}\n", "1 + 1? ".repeat(500));
    let problems = inputs.file("mixed.jsonl", (endless + &good).as_bytes());
    let output = inputs.search_of(&problems).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("endless"), "{message}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(inputs.out().join("trees/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["trees"], good.lines().count());
    assert_eq!(manifest["skipped"][0]["problem_id"], "endless");
}
