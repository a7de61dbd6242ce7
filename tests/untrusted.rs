//! Files and texts that others wrote: none moves the terminal, fills the memory or ends more than its own problem.

use crate::tiny::{mcts_gen, shared, step_train, succeed, text};
use assert_cmd::Command;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const HOSTILE_ID: &str = "../../../PWNED\n\u{1b}[31mred\u{1b}]0;title\u{7}";

fn policy() -> PathBuf {
    shared().1.join("policy-000")
}

/// A copy of the policy in which one file is another.
fn policy_with(root: &Path, file: &str, change: impl FnOnce(Value) -> Value) -> PathBuf {
    let copy = root.join("policy");
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(policy()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let path = copy.join(file);
    let before = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::write(&path, change(before).to_string()).unwrap();
    copy
}

fn search(policy: &Path, problems: &Path, out: &Path) -> Command {
    let mut command = mcts_gen();
    command.args(["search", "--simulations", "2", "--threads", "1", "--policy"]).arg(policy);
    command.arg("--problems").arg(problems).arg("--out").arg(out).timeout(Duration::from_secs(120));
    command
}

fn moves_terminals(shown: &str) -> bool {
    shown.chars().any(|one| (one.is_control() && one != '\n') || one == '\u{202e}')
}

#[test]
fn terminals_show_hostile_texts_and_obey_none() {
    let root = tempfile::tempdir().unwrap();
    let problems = root.path().join("p.jsonl");
    let rows = [
        json!({ "id": HOSTILE_ID, "question": "\u{1b}[2J 1+1? \u{202e}", "answer": "2" }),
        json!({ "id": format!("{HOSTILE_ID}2"), "question": "1+1 ".repeat(200), "answer": "2" }),
    ];
    fs::write(&problems, rows.map(|row| row.to_string() + "\n").concat()).unwrap();
    let out = root.path().join("out");
    let searched = search(&policy(), &problems, &out).output().unwrap();
    let said = text(&searched.stderr);
    assert_eq!(searched.status.code(), Some(1), "the second question is too long: {said}");
    assert!(said.contains(r"skipped problem ../../../PWNED\n\u{1b}[31mred\u{1b}]0;title\u{7}2: "), "{said}");
    assert!(!moves_terminals(&said) && !moves_terminals(&text(&searched.stdout)), "{said}");
    let shown = text(&succeed(mcts_gen().args(["show", "--trees"]).arg(out.join("trees"))).stdout);
    assert!(!moves_terminals(&shown), "{shown:?}");
    let head = r"../../../PWNED\n\u{1b}[31mred\u{1b}]0;title\u{7} (answer 2): \u{1b}[2J 1+1? \u{202e}";
    assert_eq!(shown.lines().next(), Some(head));
    let unknown =
        mcts_gen().args(["show", "--problem", "\u{1b}[2J", "--trees"]).arg(out.join("trees")).output().unwrap();
    assert!(!moves_terminals(&text(&unknown.stderr)), "{:?}", text(&unknown.stderr));
}

#[test]
fn a_text_that_the_tokenizer_gives_up_is_skipped() {
    let root = tempfile::tempdir().unwrap();
    let policy = policy_with(root.path(), "tokenizer.json", |mut file| {
        file["pre_tokenizer"] = json!({
            "type": "Split", "pattern": { "Regex": "(a+)+$|(([a-zA-Z]+)*)*x" }, "behavior": "Isolated", "invert": false,
        });
        file
    });
    let problems = root.path().join("p.jsonl");
    let rows = [
        json!({ "id": "hard", "question": format!("{}!", "a".repeat(40)), "answer": "2" }),
        json!({ "id": "easy", "question": "1 + 1?", "answer": "2" }),
    ];
    fs::write(&problems, rows.map(|row| row.to_string() + "\n").concat()).unwrap();
    let searched = search(&policy, &problems, &root.path().join("out")).output().unwrap();
    let said = text(&searched.stderr);
    assert_eq!(searched.status.code(), Some(1), "{said}");
    assert!(said.contains("skipped problem hard: ") && !said.contains("panicked") && !said.contains("easy"), "{said}");
}

#[test]
fn files_without_end_and_absurd_numbers_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let refused = |command: &mut Command, words: &[&str]| {
        let output = command.timeout(Duration::from_secs(60)).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(words.iter().all(|word| said.contains(word)) && said.lines().count() == 1, "{said}");
    };
    for name in ["zero.jsonl", "zero.json", "zero.parquet"] {
        let path = root.path().join(name);
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        refused(&mut search(&policy(), &path, &out), &[name, "not a regular file"]);
    }
    let pipe = root.path().join("pipe.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(&mut search(&policy(), &pipe, &out), &["pipe.jsonl", "not a regular file"]);
    let problems = shared().1.join("problems/held_out.jsonl");
    let deep = policy_with(root.path(), "config.json", |mut config| {
        config["num_hidden_layers"] = json!(1_000_000_000);
        config
    });
    refused(&mut search(&deep, &problems, &out), &["policy/config.json: ", "num_hidden_layers", "1000000000"]);
    let mut wide = mcts_gen();
    wide.args(["search", "--threads", "100000", "--policy"]).arg(policy()).arg("--problems").arg(&problems);
    refused(wide.arg("--out").arg(&out), &["threads is 100000"]);
}

#[test]
fn templates_have_a_budget() {
    let root = tempfile::tempdir().unwrap();
    let policy = policy_with(root.path(), "tokenizer_config.json", |mut config| {
        let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
        config["chat_template"] = json!(endless);
        config
    });
    let mut command = mcts_gen();
    command.args(["complete", "--chat", "--prompt-file", "-", "--max-tokens", "1", "--policy"]).arg(&policy);
    command.write_stdin("a");
    let output = command.timeout(Duration::from_secs(60)).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("policy/tokenizer_config.json: it takes more than"), "{said}");
}

#[test]
fn a_comparison_reads_the_reports_that_it_is_given() {
    let root = tempfile::tempdir().unwrap();
    let problems = shared().1.join("problems/held_out.jsonl");
    let [first, second] = ["first.json", "second.json"].map(|name| root.path().join(name));
    for out in [&first, &second] {
        let mut command = step_train();
        command.args(["eval", "--threads", "1", "--max-tokens", "4", "--policy"]).arg(policy());
        succeed(command.arg("--problems").arg(&problems).arg("--out").arg(out));
    }
    let compare = || step_train().arg("compare-evals").args([&first, &second]).output().unwrap();
    assert_eq!(compare().status.code(), Some(0), "{}", text(&compare().stderr));
    let whole = fs::read_to_string(&first).unwrap();
    let report: Value = serde_json::from_str(&whole).unwrap();
    let mut other = report.clone();
    other["groups"][0]["all"]["correct"] = json!(report["groups"][0]["all"]["correct"].as_u64().unwrap() + 1);
    let mut fewer = report.clone();
    fewer["groups"] = json!([]);
    let damaged =
        [String::new(), whole[..whole.len() / 2].to_owned(), "{}".into(), other.to_string(), fewer.to_string()];
    for content in damaged {
        fs::write(&first, &content).unwrap();
        let output = compare();
        assert_eq!(output.status.code(), Some(2), "{content}");
        assert!(text(&output.stderr).contains("first."), "{}", text(&output.stderr));
    }
}
