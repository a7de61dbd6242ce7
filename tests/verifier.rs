//! A verifier of trees: made, measured, asked by a search and about sampled answers.

use crate::tiny::{finished, mcts_gen, shared, step_train, succeed, text};
use assert_cmd::Command;
use espalier_eval::{ProblemSamples, read_samples, samples_beside};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn make(trees: &[PathBuf], out: &Path) -> Command {
    let mut command = step_train();
    command.args([
        "verifier",
        "--threads",
        "1",
        "--learning-rate",
        "3e-3",
        "--epochs",
        "4",
        "--batch-size",
        "4",
        "--policy",
    ]);
    command.arg(finished().join("policy-002")).arg("--trees").args(trees).arg("--out").arg(out);
    command
}

fn trees(round: u32) -> PathBuf {
    finished().join(format!("round-{round:03}/trees"))
}

/// A verifier of three heads, and where its folders are.
fn verifier(root: &Path) -> PathBuf {
    let out = root.join("verifier");
    succeed(make(&[trees(1), trees(2)], &out).args(["--heads", "3", "--held-out-fraction", "0.5"]));
    out
}

fn sampled(verifier: &Path, out: &Path) -> Command {
    asked("sample", verifier, out)
}

fn asked(method: &str, verifier: &Path, out: &Path) -> Command {
    let mut command = step_train();
    command.args(["eval", "--threads", "1", "--max-tokens", "120", "--samples", "4", "--method", method]);
    command.args(["--temperature", "1.3", "--policy"]).arg(finished().join("policy-002"));
    command.arg("--problems").arg(shared().1.join("problems/warm_start.jsonl")).arg("--verifier").arg(verifier);
    command.arg("--out").arg(out);
    command
}

#[test]
fn a_verifier_is_a_policy_folder_with_heads_and_a_report_of_problems_it_has_not_seen() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("verifier");
    let first = || {
        let mut command = make(&[trees(1)], &out);
        command.args(["--heads", "3", "--held-out-fraction", "0.5", "--also"]).arg(trees(2));
        command
    };
    let printed = text(&succeed(&mut first()).stdout);
    assert!(printed.contains("Spearman") && printed.contains("verifier, words masked"), "{printed}");
    let report = read(&root.path().join("verifier-train/report.json"));
    assert_eq!(report["heads"], 3);
    let (held_out, also) = (&report["held_out"], &report["also"]);
    let problems = |section: &Value| section["problems"].as_u64().unwrap();
    assert!((1..6).contains(&problems(held_out)), "{held_out}");
    assert_eq!(problems(also), 6, "the problems of another round are all new");
    for section in [held_out, also] {
        assert!(section["states"].as_u64().unwrap() >= 5, "{section}");
        assert!(section["value_head"].is_object() && section["deviation"].as_f64().unwrap() > 0.0);
        let [right, head, gain] = ["verifier", "value_head", "gain"].map(|of| {
            let of = &section[of];
            of.get("ranked_right").unwrap_or(of)["mean"].as_f64().unwrap()
        });
        assert!((right - head - gain).abs() < 1e-9);
        let bins = section["verifier"]["by_margin"].as_array().unwrap();
        let pairs: u64 = bins.iter().map(|bin| bin["pairs"].as_u64().unwrap()).sum();
        assert_eq!(section["verifier"]["pairs"].as_u64(), Some(pairs));
    }
    assert_eq!(held_out["ablations"].as_object().unwrap().len(), 4);
    assert!(also["ablations"].is_null());

    // Given again, nothing is done; another report measures the same verifier.
    let before = fs::read(out.join("model.safetensors")).unwrap();
    let again = succeed(&mut first());
    assert_eq!(text(&again.stdout), printed);
    assert!(text(&again.stderr).contains("is done already"));
    let other = root.path().join("other.json");
    let mut command = make(&[trees(1)], &out);
    command.args(["--heads", "3", "--held-out-fraction", "0.5", "--also"]).arg(trees(1)).arg("--report").arg(&other);
    succeed(&mut command);
    assert_eq!(read(&other)["held_out"], *held_out);
    // Problems that the verifier was made of are no test of it.
    assert_eq!(problems(&read(&other)["also"]), problems(held_out));
    assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), before);

    // It is a policy with a value head to whoever searches.
    let searched = root.path().join("searched");
    let mut search = mcts_gen();
    search.args([
        "search",
        "--threads",
        "1",
        "--simulations",
        "4",
        "--limit",
        "2",
        "--max-step-tokens",
        "40",
        "--policy",
    ]);
    search.arg(&out).arg("--problems").arg(shared().1.join("problems/warm_start.jsonl")).arg("--out").arg(&searched);
    succeed(&mut search);
    let tree = espalier_tree::read_trees(&searched.join("trees")).unwrap().next().unwrap().unwrap();
    assert!(tree.node(espalier_tree::NodeId::ROOT).value_estimate().is_some_and(|value| value != 0.0));
    // Its heads are an ensemble, of which the value stage trains none.
    let mut value = step_train();
    value.args(["value", "--threads", "1", "--policy"]).arg(&out).arg("--trees").arg(trees(1));
    let refused = value.arg("--out").arg(root.path().join("value")).output().unwrap();
    assert!(text(&refused.stderr).contains("3 value heads"), "{}", text(&refused.stderr));
}

#[test]
fn a_folder_of_trees_can_be_held_out_and_its_problems_are_not_learnt_from() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("verifier");
    // The very trees that it is to learn from: nothing is left.
    let refused = make(&[trees(1)], &out).arg("--held-out").arg(trees(1)).output().unwrap();
    let message = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(2) && message.contains("no state in the trees has steps to compare"),
        "{message}"
    );
    assert!(!out.exists());
    let refused =
        make(&[trees(1)], &out).args(["--held-out-fraction", "0.5", "--held-out"]).arg(trees(1)).output().unwrap();
    assert!(text(&refused.stderr).contains("cannot be used with"), "{}", text(&refused.stderr));
}

#[test]
fn sampled_answers_are_picked_and_voted_on_by_their_scores() {
    let root = tempfile::tempdir().unwrap();
    let verifier = verifier(root.path());
    let out = root.path().join("picked.json");
    let printed = text(&succeed(&mut sampled(&verifier, &out)).stdout);
    for word in ["majority@4", "reranked@4", "weighted@4", "reranked@1", "against the majority"] {
        assert!(printed.contains(word), "{word:?} is not in {printed}");
    }
    let samples = read_samples(&samples_beside(&out)).unwrap();
    let scores: Vec<f64> =
        samples.iter().flat_map(|problem| &problem.samples).filter_map(|sample| sample.score).collect();
    assert_eq!(scores.len(), 48, "every answer has a score");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    // The report is what the samples say.
    let best = |problem: &ProblemSamples| {
        let answered = problem.samples.iter().filter(|sample| sample.answer.is_some());
        // The first of equals.
        answered.rev().max_by(|a, b| a.score.unwrap().total_cmp(&b.score.unwrap())).is_some_and(|best| best.correct)
    };
    let right = samples.iter().filter(|problem| best(problem)).count() as u64;
    let report = read(&out);
    let scored = &report["groups"][0]["verifier"];
    assert_eq!(scored["reranked_at"]["4"]["correct"].as_u64(), Some(right));
    assert_eq!(scored["reranked"]["second"]["correct"].as_u64(), Some(right));
    assert_eq!(scored["reranked"]["first"], report["groups"][0]["majority_at"]["4"]);

    // The same samples without it, and another way to score their steps.
    let plain = root.path().join("plain.json");
    let mut command = step_train();
    command.args(["eval", "--threads", "1", "--max-tokens", "120", "--method", "sample", "--samples", "4"]);
    command.args(["--temperature", "1.3", "--policy"]).arg(finished().join("policy-002"));
    command.arg("--problems").arg(shared().1.join("problems/warm_start.jsonl")).arg("--out").arg(&plain);
    succeed(&mut command);
    assert!(read(&plain)["groups"][0]["verifier"].is_null());
    let texts = |path: &Path| -> Vec<String> {
        let samples = read_samples(&samples_beside(path)).unwrap();
        samples.into_iter().flat_map(|problem| problem.samples).map(|sample| sample.text).collect()
    };
    assert_eq!(texts(&plain), texts(&out));
    let least = root.path().join("least.json");
    succeed(sampled(&verifier, &least).args(["--aggregation", "min"]));
    let lowered = read_samples(&samples_beside(&least)).unwrap();
    let lowered: Vec<f64> =
        lowered.iter().flat_map(|problem| &problem.samples).filter_map(|sample| sample.score).collect();
    assert!(lowered.iter().zip(&scores).all(|(least, last)| least <= last) && lowered != scores);
    // Another verifier is another evaluation.
    let refused = sampled(&finished().join("policy-002"), &out).output().unwrap();
    assert!(text(&refused.stderr).contains("its verifier had another content"), "{}", text(&refused.stderr));
}

#[test]
fn what_is_no_verifier_of_the_policy_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("eval.json");
    let refused = |verifier: &Path, method: &str| {
        let output = asked(method, verifier, &out).output().unwrap();
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        message
    };
    assert!(refused(&root.path().join("nowhere"), "sample").contains("is not a folder"));
    // The policy of the warm start has no value head.
    assert!(refused(&finished().join("policy-001"), "sample").contains("has no value_head.safetensors"));
    assert!(refused(&finished().join("policy-002"), "beam").contains("--verifier goes with --method sample"));
    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    for file in fs::read_dir(finished().join("policy-002")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), other.join(file.file_name())).unwrap();
    }
    let tokenizer = fs::read_to_string(other.join("tokenizer.json")).unwrap();
    fs::write(other.join("tokenizer.json"), tokenizer.replacen("</step>", "</stop>", 1)).unwrap();
    assert!(refused(&other, "sample").contains("has another tokenizer than the policy"));
    assert!(!out.exists());
}
