//! A kill at every point of every stage: each write, sync, rename and removal is one (`ESPALIER_KILL_AT`).
//!
//! Minutes, so that `just kills` runs it and the usual tests do not.

use crate::stages::{Stage, files, names, stages};
use crate::tiny::{init, process, shared, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The stages of the contract, and a search of which one problem does not fit the model.
fn all_stages(root: &Path) -> Vec<Stage> {
    let mut all = stages();
    let problems = fs::read_to_string(shared().1.join("problems/warm_start.jsonl")).unwrap();
    let mut lines: Vec<&str> = problems.lines().take(3).collect();
    let endless =
        serde_json::json!({ "id": "endless", "question": "how many? ".repeat(400), "answer": "1" }).to_string();
    lines.insert(1, &endless);
    let path = root.join("one_too_long.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    let mut skipping = all.swap_remove(0);
    assert_eq!(skipping.words[0], "search");
    let place = skipping.words.iter().position(|word| word == "--problems").unwrap();
    skipping.words[place + 1] = path.into();
    all.extend([skipping, stages().swap_remove(0)]);
    all
}

/// What a manifest says that no kill may change.
fn skipped(root: &Path) -> Vec<Value> {
    let manifests = files(root, false).into_iter().filter(|(name, _)| name.ends_with("manifest.json"));
    manifests.map(|(_, bytes)| serde_json::from_slice::<Value>(&bytes).unwrap()["skipped"].clone()).collect()
}

#[test]
#[ignore = "minutes: just kills"]
fn a_kill_at_any_point_of_a_stage_changes_no_byte_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (mut kills, mut failures) = (0, Vec::new());
    for stage in all_stages(root.path()) {
        let whole = tempfile::tempdir().unwrap();
        stage.run(whole.path(), &[], None);
        let (made, results) = (files(whole.path(), false), files(whole.path(), true));
        assert!(!results.is_empty() || stage.out == "compare", "{} made nothing", stage.out);
        let mut points = 0;
        for point in 1.. {
            let killed = tempfile::tempdir().unwrap();
            if stage.run(killed.path(), &[], Some(point)).status.code().is_some() {
                break;
            }
            points = point;
            let again = stage.run(killed.path(), &[], None);
            let mut wrong = |what: &str| failures.push(format!("{} killed at {point}: {what}", stage.out));
            if names(&files(killed.path(), false)) != names(&made) {
                wrong(&format!("other files: {:?}; {}", names(&files(killed.path(), false)), text(&again.stderr)));
            } else if files(killed.path(), true) != results {
                wrong("other bytes");
            } else if skipped(killed.path()) != skipped(whole.path()) {
                wrong("other problems are named as skipped");
            }
        }
        println!("{:8} {points} points", stage.out);
        kills += points;
    }
    println!("{kills} kills, {} of them with another end", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "minutes: just kills"]
fn a_kill_at_any_point_of_a_round_changes_no_byte() {
    let root = tempfile::tempdir().unwrap();
    let round = |run: &Path, kill_at: Option<u64>| {
        let mut command = process("step-train");
        command.args(["round", "--until", "1", "--run"]).arg(run);
        kill_at.map(|point| command.env("ESPALIER_KILL_AT", point.to_string()));
        command.output().unwrap()
    };
    let whole = init(root.path(), "whole");
    assert!(round(&whole, None).status.success());
    let results = files(&whole, true);
    // One run that is killed at ever other points: what was done stays done. A stage has some 90 points, so that kills before
    // them alone would never let one end.
    let killed = init(root.path(), "killed");
    let mut kills = 0;
    loop {
        let point = 1 + 7 * kills % 130;
        if round(&killed, Some(point)).status.code().is_some() {
            break;
        }
        kills += 1;
        assert!(kills < 2000, "the run never ends");
    }
    println!("round    {kills} kills");
    let output = round(&killed, None);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(names(&files(&killed, false)), names(&files(&whole, false)), "leftovers");
    assert!(files(&killed, true) == results, "the run differs after {kills} kills");
}
