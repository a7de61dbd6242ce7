//! `kill -9` at any moment, the same command again, the same bytes as without the kill.

use crate::preferences;
use crate::tiny::{finished, init, mcts_gen, process, shared, succeed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn start(program: &str, args: &[&str]) -> Child {
    process(program).args(args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("the executable starts")
}

/// Files under `root` whose bytes must not depend on interruptions, relative and sorted.
fn results(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "parquet" || kind == "safetensors") {
                found.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_killed_again_and_again_ends_with_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let run = init(root.path(), "killed");
    let args = ["round", "--all", "--run", run.to_str().unwrap()];
    let (mut kills, mut attempt) = (0, 0);
    loop {
        // Ever later, so that every stage is hit in turn and the run ends at last.
        let patience = Duration::from_millis(500 + 130 * attempt);
        attempt += 1;
        let mut child = start("step-train", &args);
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begun.elapsed() >= patience {
                break None;
            }
            sleep(Duration::from_millis(5));
        };
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 60, "the run never gets further");
    }
    assert!(kills >= 3, "only {kills} kills before it was done");
    let (killed, whole) = (results(&run), results(finished()));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&killed), names(&whole));
    for ((name, killed), (_, whole)) in killed.iter().zip(&whole) {
        assert!(killed == whole, "{} differs after {kills} kills", name.display());
    }
}

#[test]
fn finished_trees_are_not_searched_again() {
    let root = tempfile::tempdir().unwrap();
    let run = finished();
    let problems = shared().1.join("problems/warm_start.jsonl");
    let args = |out: &Path| {
        let line = [
            ("--problems", problems.to_str().unwrap()),
            ("--policy", &run.join("policy-001").to_string_lossy()),
            ("--out", out.to_str().unwrap()),
            ("--simulations", "300"),
            ("--temperature", "1.5"),
            ("--max-step-tokens", "80"),
            ("--in-flight", "1"),
            ("--shard-trees", "1"),
            ("--threads", "1"),
        ]
        .map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
        [vec!["search".to_owned()], line.concat()].concat()
    };
    let whole = root.path().join("whole");
    succeed(mcts_gen().args(args(&whole)));

    let killed = root.path().join("killed");
    let line = args(&killed);
    let mut child = start("mcts-gen", &line.iter().map(String::as_str).collect::<Vec<_>>());
    let first = killed.join("trees/part-00000.parquet");
    while !first.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the search ended before its first shard was seen");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("trees/manifest.json").exists(), "the search was over before the kill; search more");
    let written = fs::metadata(&first).unwrap().modified().unwrap();
    succeed(mcts_gen().args(args(&killed)));
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), written, "the first shard was written again");

    assert_eq!(results(&killed), results(&whole));
    let sampled = |out: &Path| {
        let text = fs::read_to_string(out.join("trees/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        manifest["sampled_tokens"].as_u64().unwrap()
    };
    assert!(sampled(&killed) < sampled(&whole), "the second process did all the work again");
    assert!(!killed.join("trees/resume").exists());
}

#[test]
fn early_stopping_killed_at_every_point_ends_with_the_same_policy() {
    let root = tempfile::tempdir().unwrap();
    let pairs = preferences::write(&root.path().join("pairs.jsonl"), &preferences::pairs());
    let run = |out: &Path, save_every_s: &str, kill_at: Option<u64>| {
        let mut command = process("step-train");
        command.args(["prefer", "--epochs", "2", "--learning-rate", "1e-3", "--batch-size", "4", "--threads", "1"]);
        command.args(["--held-out-fraction", "0.4", "--eval-every", "1", "--patience", "1"]);
        let config = root.path().join(format!("{save_every_s}.toml"));
        fs::write(&config, format!("[prefer.train]\nsave_every_s = {save_every_s}\n")).unwrap();
        command.arg("--config").arg(config).arg("--policy").arg(shared().1.join("policy-000"));
        command.arg("--pairs").arg(&pairs).arg("--out").arg(out);
        if let Some(point) = kill_at {
            command.env("ESPALIER_KILL_AT", point.to_string());
        }
        command.output().expect("the executable starts")
    };
    let policy = |out: &Path| fs::read(out.join("model.safetensors")).unwrap();
    let steps = |out: &Path| {
        let text = fs::read_to_string(out.with_file_name("out-train").join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    // Without a saved state before the last step, and with one after each.
    for (save_every_s, stride) in [("1000", 1), ("0", 3)] {
        let whole = root.path().join(save_every_s).join("whole/out");
        assert!(run(&whole, save_every_s, None).status.success());
        assert_ne!(policy(&whole), policy(&shared().1.join("policy-000")), "the held-out loss falls");
        let mut kills = 0;
        for point in (1..).step_by(stride) {
            let out = root.path().join(save_every_s).join(point.to_string()).join("out");
            if run(&out, save_every_s, Some(point)).status.success() {
                break;
            }
            kills += 1;
            let resumed = run(&out, save_every_s, None);
            assert!(resumed.status.success(), "killed at {point}: {}", String::from_utf8_lossy(&resumed.stderr));
            assert!(policy(&out) == policy(&whole), "another policy after a kill at {point}");
            assert_eq!(steps(&out), steps(&whole), "killed at {point}");
        }
        assert!(kills > 20, "{kills} kills");
    }
}
