//! `mcts-gen complete` and `mcts-gen score` over the tiny policy.

use crate::tiny::{finished, mcts_gen, shared, succeed, text};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

const PROMPT: &str = "<question>Anna has 3 apples and buys 4 more. How many apples has she?</question><plan>";

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn prompt_file(folder: &Path) -> PathBuf {
    let path = folder.join("prompt.txt");
    fs::write(&path, PROMPT).unwrap();
    path
}

fn complete(policy: &Path, prompt: &Path, flags: &[&str]) -> Vec<Value> {
    let mut command = mcts_gen();
    command
        .args(["complete", "--threads", "1"])
        .arg("--policy")
        .arg(policy)
        .arg("--prompt-file")
        .arg(prompt)
        .args(flags);
    lines(&succeed(&mut command))
}

fn score(policy: &Path, input: &Path) -> Vec<Value> {
    lines(&succeed(mcts_gen().args(["score", "--threads", "1"]).arg("--policy").arg(policy).arg("--input").arg(input)))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Asks `score` about the tokens of a sample.
fn request(sample: &Value) -> String {
    json!({ "prompt": PROMPT, "token_ids": sample["token_ids"] }).to_string()
}

#[test]
fn what_is_sampled_is_scored_alike() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = prompt_file(folder.path());
    // The policy that rounds have left has a value head.
    let policy = finished().join("policy-002");
    let samples = complete(&policy, &prompt, &["-n", "3", "--max-tokens", "20", "--seed", "5"]);
    assert_eq!(samples.len(), 3);
    assert_eq!(samples, complete(&policy, &prompt, &["-n", "3", "--max-tokens", "20", "--seed", "5"]));
    assert_ne!(samples, complete(&policy, &prompt, &["-n", "3", "--max-tokens", "20", "--seed", "6"]));
    let input = folder.path().join("input.jsonl");
    let requests: Vec<String> = samples
        .iter()
        .map(request)
        .chain([json!({ "prompt": PROMPT, "completion": "<step>Add 3 and 4</step>" }).to_string()])
        .collect();
    fs::write(&input, requests.join("\n\n")).unwrap();
    let scored = score(&policy, &input);
    assert_eq!(scored.len(), 4);
    for (sample, scored) in samples.iter().zip(&scored) {
        assert_eq!(sample["token_ids"], scored["token_ids"]);
        let (sampled, scored) = (numbers(&sample["logprobs"]), numbers(&scored["logprobs"]));
        assert_eq!(sampled.len(), scored.len());
        assert!(sampled.iter().zip(&scored).all(|(a, b)| (a - b).abs() < 1e-4), "{sampled:?} {scored:?}");
        assert!(sample["ending"] == "stop" || sampled.len() == 20, "{sample}");
    }
    for line in &scored {
        assert!(line["value"].as_f64().unwrap().abs() <= 1.0);
    }
    // A policy without a value head says nothing of values.
    assert!(score(&shared().1.join("policy-000"), &input).iter().all(|line| line.get("value").is_none()));
}

#[test]
fn sampling_in_bfloat16_is_near_float32() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = prompt_file(folder.path());
    let policy = finished().join("policy-002");
    let samples = complete(&policy, &prompt, &["-n", "4", "--max-tokens", "20", "--precision", "bfloat16"]);
    let requests: Vec<String> = samples.iter().map(request).collect();
    let input = folder.path().join("input.jsonl");
    fs::write(&input, requests.join("\n")).unwrap();
    let all = |lines: &[Value]| lines.iter().flat_map(|line| numbers(&line["logprobs"])).collect::<Vec<_>>();
    let (sampled, exact) = (all(&samples), all(&score(&policy, &input)));
    let apart = sampled.iter().zip(&exact).map(|(a, b)| (a - b).abs()).sum::<f64>() / exact.len() as f64;
    assert!(sampled.len() == exact.len() && apart > 1e-5 && apart < 0.1, "{apart} nats a token");
}

#[test]
fn greedy_ignores_the_seed_and_stops_where_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = prompt_file(folder.path());
    let policy = finished().join("policy-002");
    let greedy = complete(&policy, &prompt, &["--greedy", "--seed", "1"]);
    assert_eq!(greedy, complete(&policy, &prompt, &["--greedy", "--seed", "2"]));
    let whole = greedy[0]["text"].as_str().unwrap();
    // The tag is one token: the text is cut in it, ids and log-probabilities are what was sampled.
    assert!(whole.starts_with("<step>"), "{whole:?}");
    let cut = complete(&policy, &prompt, &["--greedy", "--stop", "st"]);
    assert_eq!((&cut[0]["text"], &cut[0]["ending"]), (&"<st".into(), &"stop".into()));
    for key in ["token_ids", "logprobs"] {
        assert_eq!(cut[0][key].as_array(), Some(&vec![greedy[0][key][0].clone()]), "{key}");
    }
}

#[test]
fn bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let policy = shared().1.join("policy-000");
    let file = |name: &str, bytes: &str| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let fails = |command: &str, flag: &str, path: &Path, words: &[&str]| {
        let output = mcts_gen()
            .args([command, "--threads", "1"])
            .arg("--policy")
            .arg(&policy)
            .arg(flag)
            .arg(path)
            .output()
            .unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(output.stdout.is_empty());
        assert_eq!(message.lines().count(), 1, "{message}");
        for word in words {
            assert!(message.contains(word), "{word:?} is not in: {message}");
        }
    };
    fails("complete", "--prompt-file", &folder.path().join("nowhere.txt"), &["nowhere.txt"]);
    fails("complete", "--prompt-file", &file("empty.txt", ""), &["empty.txt", "empty"]);
    fails("complete", "--prompt-file", &file("long.txt", &"12 ".repeat(200)), &["600 tokens", "256"]);
    let good = json!({ "prompt": "1", "completion": "2" });
    fails("score", "--input", &file("cut.jsonl", &format!("{good}\n{{\"prompt\"")), &["cut.jsonl:2"]);
    fails("score", "--input", &file("half.jsonl", &format!("{good}\n\n{{\"prompt\": \"1\"}}")), &["half.jsonl:3"]);
    let unknown = json!({ "prompt": "1", "token_ids": [70_000] });
    fails("score", "--input", &file("ids.jsonl", &format!("{good}\n{unknown}")), &["ids.jsonl:2", "70000"]);
    let unstarted = json!({ "prompt": "", "completion": "2" });
    fails("score", "--input", &file("start.jsonl", &unstarted.to_string()), &["start.jsonl:1", "prompt"]);
}

#[test]
fn a_search_computes_no_token_twice_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    let output = succeed(
        mcts_gen()
            .args([
                "search",
                "--simulations",
                "64",
                "--temperature",
                "1.2",
                "--max-step-tokens",
                "40",
                "--threads",
                "1",
            ])
            .args(["--limit", "3", "--problems"])
            .arg(shared().1.join("problems/warm_start.jsonl"))
            .arg("--policy")
            .arg(finished().join("policy-000"))
            .arg("--out")
            .arg(root.path().join("out")),
    );
    let summary = text(&output.stdout);
    let manifest = fs::read_to_string(root.path().join("out/trees/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let trees = espalier_tree::read_trees(&root.path().join("out/trees")).unwrap().map(Result::unwrap);
    let in_trees: usize = trees.map(|tree| tree.ids().map(|id| tree.token_ids(id).len()).sum::<usize>()).sum();
    let forwarded = manifest["forwarded_tokens"].as_u64().unwrap() as f64;
    assert!(in_trees > 300 && forwarded > 0.3 * in_trees as f64, "{forwarded} of {in_trees} tokens");
    assert!(forwarded <= 1.02 * in_trees as f64, "{forwarded} of {in_trees} tokens");
    let said = format!(
        "{forwarded} tokens run through the model, {in_trees} in the trees: {:.3}",
        forwarded / in_trees as f64
    );
    assert!(summary.contains(&said), "{said:?} is not in: {summary}");
}

/// The whole comparison with transformers, where `python3` (or ESPALIER_PYTHON) has it; `model` holds committed numbers.
#[test]
fn transformers_computes_the_same() {
    let python = std::env::var("ESPALIER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/parity.py");
    let mut command = std::process::Command::new(&python);
    let output = command.arg(script).args(["run", "--mcts-gen"]).arg(assert_cmd::cargo::cargo_bin("mcts-gen")).output();
    let Ok(output) = output else { return eprintln!("skipped: there is no {python}") };
    if output.status.code() == Some(3) {
        return eprintln!("skipped: {}", text(&output.stderr));
    }
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout).matches("ok  ").count(), 7);
}
