//! Every stage with an output of its own keeps one contract: fresh, half done, done, foreign.

use crate::tiny::{finished, process, shared, text};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A stage as a command that makes `--out`.
struct Stage {
    program: &'static str,
    words: Vec<OsString>,
    /// Flags of another identity, and what the refusal says of them.
    other: (&'static [&'static str], &'static str),
    /// What is made at `--out`.
    out: &'static str,
}

fn stages() -> Vec<Stage> {
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
    fn out(&self, root: &Path) -> PathBuf {
        root.join(self.out)
    }

    fn run(&self, root: &Path, more: &[&str], kill_at: Option<u64>) -> Output {
        let mut command = process(self.program);
        command.args(&self.words).args(more).arg("--out").arg(self.out(root));
        if let Some(point) = kill_at {
            command.env("ESPALIER_KILL_AT", point.to_string());
        }
        command.output().expect("the executable starts")
    }

    fn succeeds(&self, root: &Path, more: &[&str]) -> Output {
        let output = self.run(root, more, None);
        assert!(output.status.success(), "{}: {}", self.out, text(&output.stderr));
        output
    }

    fn is_refused(&self, root: &Path, more: &[&str], word: &str) {
        let output = self.run(root, more, None);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {message}", self.out);
        assert_eq!(message.lines().count(), 1, "{}: {message}", self.out);
        assert!(message.contains(word), "{}: {word:?} is not in: {message}", self.out);
    }
}

/// Every file below a folder with its bytes; those alone whose bytes depend on nothing but the identity, if `results`.
fn files(root: &Path, results: bool) -> Vec<(PathBuf, Vec<u8>)> {
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
fn names(files: &[(PathBuf, Vec<u8>)]) -> Vec<&Path> {
    files.iter().map(|(name, _)| name.as_path()).filter(|name| !name.parent().unwrap().ends_with("tb")).collect()
}

#[test]
fn every_stage_is_fresh_half_done_done_or_foreign() {
    for stage in stages() {
        let root = tempfile::tempdir().unwrap();
        // A stranger's file is no output of a stage.
        let strange = root.path().join("strange");
        fs::create_dir(&strange).unwrap();
        let thesis = match stage.out {
            "eval.json" => stage.out(&strange),
            // The command makes `trees` and `pairs` in its folder.
            "trees" => stage.out(&strange).join("trees/thesis.txt"),
            _ => stage.out(&strange).join("thesis.txt"),
        };
        fs::create_dir_all(thesis.parent().unwrap()).unwrap();
        fs::write(&thesis, "all my work").unwrap();
        for more in [&[][..], &["--overwrite"]] {
            stage.is_refused(&strange, more, "choose another --out");
        }
        assert_eq!(names(&files(&strange, false)), [thesis.strip_prefix(&strange).unwrap()], "{}", stage.out);

        let whole = root.path().join("whole");
        stage.succeeds(&whole, &[]);
        let made = files(&whole, false);
        let again = stage.succeeds(&whole, &[]);
        assert!(text(&again.stderr).contains("is done already, since 2"), "{}: {}", stage.out, text(&again.stderr));
        assert_eq!(files(&whole, false), made, "{}", stage.out);

        let (flags, difference) = stage.other;
        stage.is_refused(&whole, flags, difference);
        assert_eq!(files(&whole, false), made, "{}", stage.out);

        // Killed ever later after each start.
        let killed = root.path().join("killed");
        let mut kills = 0;
        for point in [1, 3, 6, 10, 15, 21] {
            if stage.run(&killed, &[], Some(point)).status.success() {
                break;
            }
            kills += 1;
        }
        assert!(kills >= 3, "{}: only {kills} kills", stage.out);
        stage.succeeds(&killed, &[]);
        assert_eq!(names(&files(&killed, false)), names(&made), "{}: leftovers", stage.out);
        assert!(files(&killed, true) == files(&whole, true), "{} differs after {kills} kills", stage.out);

        // Begun anew, by request, over the stage's own files and no others.
        let thesis = whole.join("thesis.txt");
        fs::write(&thesis, "all my work").unwrap();
        stage.succeeds(&whole, &[flags, &["--overwrite"]].concat());
        let anew = root.path().join("anew");
        stage.succeeds(&anew, flags);
        assert_eq!(fs::read_to_string(&thesis).unwrap(), "all my work");
        fs::remove_file(&thesis).unwrap();
        assert_eq!(names(&files(&whole, false)), names(&files(&anew, false)), "{}", stage.out);
        assert!(files(&whole, true) == files(&anew, true), "{} differs when begun anew", stage.out);
    }
}

#[test]
fn two_processes_never_write_one_output() {
    // This process holds the lock that a search would hold.
    for stage in stages() {
        let root = tempfile::tempdir().unwrap();
        let out = match stage.out {
            "trees" => stage.out(root.path()).join("trees"),
            _ => stage.out(root.path()),
        };
        let lock = espalier_files::Lock::acquire(&out).unwrap();
        stage.is_refused(root.path(), &[], &format!("is being written by process {}", std::process::id()));
        drop(lock);
        assert!(files(root.path(), false).is_empty(), "{}: the refused process left something", stage.out);
    }
}
