//! Every stage with an output of its own, as a command.

use crate::tiny::{finished, process, shared, text};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A stage as a command that makes `--out`.
pub struct Stage {
    pub program: &'static str,
    pub words: Vec<OsString>,
    /// Flags of another identity, and what the refusal says of them.
    pub other: (&'static [&'static str], &'static str),
    /// What is made at `--out`.
    pub out: &'static str,
}

pub fn stages() -> Vec<Stage> {
    let run = finished();
    let (policy, trees) = (run.join("policy-001"), run.join("round-001/trees"));
    let (pairs, problems) = (run.join("round-001/pairs"), shared().1.join("problems/warm_start.jsonl"));
    let stage = |program, words: &[&str], inputs: &[(&str, &Path)], other, out| {
        let mut all: Vec<OsString> = words.iter().map(Into::into).collect();
        for (flag, path) in inputs {
            all.extend([flag.into(), path.into()]);
        }
        Stage { program, words: all, other, out }
    };
    let train = ["--threads", "1", "--epochs", "2", "--learning-rate", "1e-4", "--batch-size", "2"];
    let trained = |command: &'static str| [&[command][..], &train].concat();
    let search = ["search", "--threads", "1", "--simulations", "6", "--max-step-tokens", "40", "--limit", "3"];
    let eval = ["eval", "--threads", "1", "--max-tokens", "40", "--limit", "3"];
    let compare = [&trained("compare")[..], &["--losses", "dpo,ipo", "--held-out-fraction", "0.4"]].concat();
    let verifier = [&trained("verifier")[..], &["--heads", "2", "--held-out-fraction", "0.4"]].concat();
    let rate: (&[&str], &str) = (&["--weight-decay", "0.5"], "weight_decay is the default there and 0.5 here");
    vec![
        stage(
            "mcts-gen",
            &search,
            &[("--policy", &policy), ("--problems", &problems)],
            (&["--c-puct", "2.5"], "search.c_puct is the default there and 2.5 here"),
            "trees",
        ),
        stage(
            "mcts-gen",
            &["pairs"],
            &[("--trees", &trees)],
            (&["--rule", "all"], "pairs.rule is the default there and \"all\" here"),
            "pairs",
        ),
        stage("step-train", &trained("sft"), &[("--policy", &policy), ("--trees", &trees)], rate, "sft"),
        stage("step-train", &trained("sft"), &[("--policy", &policy), ("--problems", &problems)], rate, "worked"),
        stage("step-train", &trained("prefer"), &[("--policy", &policy), ("--pairs", &pairs)], rate, "prefer"),
        stage("step-train", &trained("value"), &[("--policy", &policy), ("--trees", &trees)], rate, "value"),
        stage("step-train", &verifier, &[("--policy", &policy), ("--trees", &trees)], rate, "verifier"),
        stage(
            "step-train",
            &eval,
            &[("--policy", &policy), ("--problems", &problems)],
            (&["--method", "sample"], "eval.method is the default there and \"sample\" here"),
            "eval.json",
        ),
        stage("step-train", &compare, &[("--policy", &policy), ("--pairs", &pairs)], rate, "compare"),
    ]
}

impl Stage {
    pub fn out(&self, root: &Path) -> PathBuf {
        root.join(self.out)
    }

    pub fn run(&self, root: &Path, more: &[&str], kill_at: Option<u64>) -> Output {
        let mut command = process(self.program);
        command.args(&self.words).args(more).arg("--out").arg(self.out(root));
        if let Some(point) = kill_at {
            command.env("ESPALIER_KILL_AT", point.to_string());
        }
        command.output().expect("the executable starts")
    }

    pub fn succeeds(&self, root: &Path, more: &[&str]) -> Output {
        let output = self.run(root, more, None);
        assert!(output.status.success(), "{}: {}", self.out, text(&output.stderr));
        output
    }

    pub fn is_refused(&self, root: &Path, more: &[&str], word: &str) {
        let output = self.run(root, more, None);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {message}", self.out);
        assert_eq!(message.lines().count(), 1, "{}: {message}", self.out);
        assert!(message.contains(word), "{}: {word:?} is not in: {message}", self.out);
    }
}

/// Every file below a folder with its bytes; those alone whose bytes depend on nothing but the identity, if `results`.
pub fn files(root: &Path, results: bool) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !results || path.extension().is_some_and(|kind| kind == "parquet" || kind == "safetensors") {
                found.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// TensorBoard's files are left out: each process writes one of its own.
pub fn names(files: &[(PathBuf, Vec<u8>)]) -> Vec<&Path> {
    files.iter().map(|(name, _)| name.as_path()).filter(|name| !name.parent().unwrap().ends_with("tb")).collect()
}
