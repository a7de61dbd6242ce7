//! Evaluation by every method, comparison, and the judge.

use crate::tiny::{finished, shared, step_train, succeed, text};
use assert_cmd::Command;
use espalier_eval::{ProblemSamples, read_samples, samples_beside};
use std::fs;
use std::path::{Path, PathBuf};

fn eval(policy: &Path, problems: &Path, out: &Path) -> Command {
    let mut command = step_train();
    command.args(["eval", "--threads", "1", "--max-tokens", "120", "--policy"]).arg(policy);
    command.arg("--problems").arg(problems).arg("--out").arg(out);
    command
}

fn report(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What the tiny policy knows by heart.
fn known() -> PathBuf {
    shared().1.join("problems/warm_start.jsonl")
}

#[test]
fn methods_agree_on_what_is_known_by_heart() {
    let root = tempfile::tempdir().unwrap();
    let policy = finished().join("policy-002");
    let evaluate = |name: &str, flags: &[&str]| {
        let out = root.path().join(name);
        let printed = text(&succeed(eval(&policy, &known(), &out).args(flags)).stdout);
        (report(&out), read_samples(&samples_beside(&out)).unwrap(), printed)
    };
    let (greedy, greedy_samples, _) = evaluate("greedy.json", &[]);
    let (sample, samples, printed) =
        evaluate("sample.json", &["--method", "sample", "--samples", "4", "--temperature", "0.5"]);
    let (tree, solutions, _) =
        evaluate("mcts.json", &["--method", "mcts", "--simulations", "12", "--temperature", "1.0"]);
    let (beam, beams, _) = evaluate("beam.json", &["--method", "beam", "--beam-width", "2"]);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 12, "reports, records and samples, no journals");

    let correct = |report: &serde_json::Value| report["groups"][0]["all"]["correct"].as_u64().unwrap();
    for (name, report) in [("greedy", &greedy), ("sample", &sample), ("beam", &beam), ("mcts", &tree)] {
        assert_eq!(report["method"], name);
        assert!(correct(report) >= 8, "{name}: {report}");
    }
    assert!(greedy_samples.iter().all(|problem| problem.samples.len() == 1));
    assert!(samples.iter().all(|problem| problem.samples.len() == 4));
    assert!(solutions.iter().any(|problem| problem.samples.len() > 1));
    // The report is what the samples say.
    for (report, problems) in [(&greedy, &greedy_samples), (&sample, &samples), (&beam, &beams), (&tree, &solutions)] {
        let chosen = |problem: &&ProblemSamples| problem.samples.iter().any(|sample| sample.chosen && sample.correct);
        assert_eq!(problems.iter().filter(chosen).count() as u64, correct(report));
    }
    let group = &sample["groups"][0];
    assert_eq!(group["majority_at"]["4"]["correct"], group["all"]["correct"]);
    let share = samples.iter().flat_map(|problem| &problem.samples).filter(|sample| sample.correct).count();
    assert!((group["pass_at"]["1"]["mean"].as_f64().unwrap() - share as f64 / 48.0).abs() < 1e-9);
    assert!(group["pass_at"]["4"]["mean"].as_f64() >= group["pass_at"]["1"]["mean"].as_f64());
    assert!(printed.contains("pass@4") && printed.contains("majority@2"), "{printed}");
}

#[test]
fn the_searched_answers_do_not_depend_on_the_references() {
    let root = tempfile::tempdir().unwrap();
    let policy = finished().join("policy-002");
    let wrong = root.path().join("wrong.jsonl");
    let lines = fs::read_to_string(known()).unwrap();
    let lines = lines.lines().map(|line| {
        let mut problem: serde_json::Value = serde_json::from_str(line).unwrap();
        problem["answer"] = "999999".into();
        problem.to_string() + "\n"
    });
    fs::write(&wrong, lines.collect::<String>()).unwrap();
    let texts = |problems: &Path, name: &str| {
        let out = root.path().join(name);
        succeed(eval(&policy, problems, &out).args(["--method", "mcts", "--simulations", "4"]));
        let problems = read_samples(&samples_beside(&out)).unwrap();
        problems
            .into_iter()
            .map(|problem| problem.samples.into_iter().map(|sample| sample.text).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&known(), "right.json"), texts(&wrong, "wrong.json"));
}

#[test]
fn two_policies_are_compared_problem_by_problem() {
    let root = tempfile::tempdir().unwrap();
    let (before, after) = (root.path().join("before.json"), root.path().join("after.json"));
    succeed(&mut eval(&finished().join("policy-000"), &known(), &before));
    succeed(&mut eval(&finished().join("policy-001"), &known(), &after));
    let out = root.path().join("compared.json");
    let printed = succeed(step_train().arg("compare-evals").arg(&before).arg(&after).arg("--out").arg(&out));
    let compared = report(&out);
    // Twelve problems, most of them learnt: an exact test sees that.
    assert_eq!((&compared["all"]["first"]["correct"], &compared["unpaired"]), (&0.into(), &0.into()));
    let learnt = compared["all"]["only_second"].as_u64().unwrap();
    let p = 2.0 * 0.5_f64.powi(learnt as i32);
    assert!(learnt >= 8 && (compared["all"]["p"].as_f64().unwrap() - p).abs() < 1e-12, "{compared}");
    assert!(compared["all"]["difference"]["low"].as_f64().unwrap() > 0.0);
    assert!(text(&printed.stdout).starts_with("problems"));

    let missing = step_train().arg("compare-evals").arg(&before).arg(root.path().join("no.json")).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("no.json"));
}

#[test]
fn a_killed_evaluation_goes_on_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    let policy = finished().join("policy-001");
    let whole = root.path().join("whole.json");
    succeed(&mut eval(&policy, &known(), &whole));
    // Killed as soon as the journal holds some answers, again and again until it is done.
    let out = root.path().join("killed.json");
    let journal = root.path().join("killed.journal");
    let mut kills = 0;
    while !out.exists() {
        let mut command = std::process::Command::new(eval(&policy, &known(), &out).get_program());
        command.args(eval(&policy, &known(), &out).args(["--max-rows", "1"]).get_args());
        let mut child =
            command.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
        let bytes = || fs::metadata(&journal).map_or(0, |metadata| metadata.len());
        let before = bytes();
        while child.try_wait().unwrap().is_none() {
            if kills < 3 && bytes() > before.max(8) {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    assert!(kills > 0, "it was over before it could be killed");
    assert!(!journal.exists());
    assert_eq!(read_samples(&samples_beside(&out)).unwrap(), read_samples(&samples_beside(&whole)).unwrap());
    assert_eq!(report(&out)["groups"], report(&whole)["groups"]);

    // An evaluation of something else does not answer for this one, and is begun anew only on request.
    let refused = eval(&policy, &known(), &out).args(["--seed", "1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let refused = text(&refused.stderr);
    assert!(refused.contains("seed is 0 there and 1 here") && refused.contains("--overwrite"), "{refused}");
    succeed(eval(&policy, &known(), &out).args(["--seed", "1", "--overwrite"]));
    assert_eq!(report(&out)["groups"][0]["all"]["problems"], 12);
}

#[test]
fn published_sets_are_read_by_name() {
    let root = tempfile::tempdir().unwrap();
    let policy = finished().join("policy-001");
    let aqua = root.path().join("aqua.json");
    fs::write(&aqua, r#"{"question": "Half of 42?", "options": ["A)20", "B)21"], "rationale": "", "correct": "B"}"#)
        .unwrap();
    let out = root.path().join("aqua-eval.json");
    succeed(eval(&policy, &aqua, &out).args(["--dataset", "aqua", "--boxed-only", "false"]));
    let asked = read_samples(&samples_beside(&out)).unwrap();
    assert!(asked[0].question.ends_with("(A) 20\n(B) 21\nAnswer with a letter from A to B."));

    let code = root.path().join("code.jsonl");
    let line = r#"{"task_id": "t/0", "prompt": "def f():\n", "entry_point": "f", "canonical_solution": "    return 1\n", "test": "def check(f):\n    assert f() == 1\n"}"#;
    fs::write(&code, line).unwrap();
    let out = root.path().join("code-eval.json");
    // Without the tools there is no sandbox, and nothing runs.
    let refused = eval(&policy, &code, &out).args(["--dataset", "humaneval"]).env("PATH", "").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("code answers cannot be run here: "), "{}", text(&refused.stderr));
    assert!(!out.exists());

    let unknown = eval(&policy, &aqua, &out).args(["--dataset", "aqa"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("arc_c"), "{}", text(&unknown.stderr));
}

#[test]
fn answers_of_any_origin_are_judged() {
    let root = tempfile::tempdir().unwrap();
    let rows = root.path().join("rows.jsonl");
    let lines = [
        r#"{"reference": "\\frac{1}{2}", "answer": "0.5"}"#,
        r#"{"reference": "12", "text": "So it is 3 * 4 = 12."}"#,
        r#"{"reference": "12", "text": "The answer is 13."}"#,
    ];
    fs::write(&rows, lines.join("\n")).unwrap();
    let printed = succeed(step_train().arg("judge").arg("--input").arg(&rows));
    let verdicts = text(&printed.stdout);
    let correct: Vec<bool> = verdicts.lines().map(|line| line.contains("\"correct\":true")).collect();
    assert_eq!(correct, [true, true, false], "{verdicts}");
    assert!(verdicts.lines().nth(1).unwrap().contains("last_number"), "{verdicts}");
    assert!(text(&printed.stderr).contains("2 of 3 correct (66.67 %)"));

    fs::write(&rows, "{\"reference\": \"1\"}\n").unwrap();
    let out = root.path().join("verdicts.jsonl");
    let refused = step_train().arg("judge").arg("--input").arg(&rows).arg("--out").arg(&out).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("rows.jsonl:1: a row has either an answer or a text"));
    assert!(!out.exists());
}

#[test]
fn a_prompt_longer_than_the_context_is_named_and_counts_as_wrong() {
    let root = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(known()).unwrap();
    let endless = format!("{{\"id\": \"endless\", \"question\": \"{}\", \"answer\": \"1\"}}\n", "1 + 1? ".repeat(500));
    let problems = root.path().join("mixed.jsonl");
    fs::write(&problems, endless + &good).unwrap();
    let out = root.path().join("eval.json");
    let output = eval(&finished().join("policy-002"), &problems, &out).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report = report(&out);
    assert_eq!(report["skipped"][0]["problem_id"], "endless");
    assert_eq!(report["groups"][0]["all"]["problems"], good.lines().count() + 1);
    assert!(report["groups"][0]["all"]["correct"].as_u64().unwrap() >= 8);
}
