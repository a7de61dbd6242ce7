//! `step-train experiment`: runs with other settings side by side.

use crate::tiny::{process, shared, step_train, succeed, text};
use std::fs;
use std::path::Path;

const GRID: &str = r#"
config = "tiny.toml"
seeds = [3]
baseline = "sft"
[base]
rounds = 1
problems.validation = 3
[methods.sft]
round.stages = ["sft"]
[methods.gated]
round.stages = ["sft", "search", "prefer", "value"]
round.gate = 1.0
sft.train.learning_rate = 0.5
[methods.groups]
round.stages = ["worked", "prefer"]
prefer.of = "paths"
prefer.loss = "gspo"
"#;

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn runs_share_their_beginning_and_a_finished_experiment_is_not_run_again() {
    let root = tempfile::tempdir().unwrap();
    let (grid, out) = (root.path().join("grid.toml"), root.path().join("experiment"));
    fs::copy(shared().0.path().join("tiny.toml"), root.path().join("tiny.toml")).unwrap();
    fs::write(&grid, GRID).unwrap();
    let run = || {
        let mut command = step_train();
        succeed(command.args(["experiment", "--threads", "1"]).arg(&grid).arg("--out").arg(&out))
    };
    // Another process that is killed somewhere, and one that shares the work.
    let mut killed = process("step-train");
    killed.args(["experiment", "--threads", "1"]).arg(&grid).arg("--out").arg(&out).env("ESPALIER_KILL_AT", "90");
    assert!(!killed.output().unwrap().status.success());
    let mut other = process("step-train");
    let mut other = other.args(["experiment", "--threads", "1"]).arg(&grid).arg("--out").arg(&out).spawn().unwrap();
    run();
    assert!(other.wait().unwrap().success());

    let table = text(&run().stdout);
    for cell in ["gated", "groups", "sft"] {
        assert_eq!(table.lines().filter(|line| line.split_whitespace().next() == Some(cell)).count(), 2, "{table}");
    }
    let results: serde_json::Value = serde_json::from_slice(&bytes(&out.join("results.json"))).unwrap();
    let (rows, runs) = (results["rows"].as_array().unwrap(), results["runs"].as_array().unwrap());
    assert_eq!((rows.len(), runs.len()), (3, 3));
    assert!(rows.iter().all(|row| row["seeds"] == 1 && row["in_domain"]["mean"].is_number()), "{rows:?}");
    assert!(rows[0]["over_baseline"]["mean"].is_number() && rows[2]["over_baseline"].is_null(), "{rows:?}");
    assert!(rows[0]["sampled_tokens"].as_f64() > rows[2]["sampled_tokens"].as_f64(), "searched twice: {rows:?}");
    assert!(text(&bytes(&out.join("report.html"))).contains("gated"));

    // One beginning: problems, policies, the first trees.
    let of = |cell: &str, file: &str| bytes(&out.join(cell).join("seed-3").join(file));
    for file in ["problems/search.jsonl", "policy-001/model.safetensors", "round-001/trees/part-00000.parquet"] {
        assert!(of("sft", file) == of("groups", file) && of("sft", file) == of("gated", file), "{file}");
    }
    assert_ne!(of("sft", "policy-002/model.safetensors"), of("groups", "policy-002/model.safetensors"));

    // A training that spoils the policy does not get through: the problems that the policy knew count fewer.
    let round: serde_json::Value = serde_json::from_slice(&of("gated", "round-001/manifest.json")).unwrap();
    let gate = &round["gate"];
    assert_eq!(gate["problems"], 3);
    let looks = gate["looks"].as_array().unwrap();
    assert!(looks.iter().all(|look| look["worse"] == (look["correct"].as_u64() < gate["before"].as_u64())), "{gate}");
    assert!(round["searched_again"]["trees"].is_number());
    assert!(!out.join("gated/seed-3/round-001/train/gated").join("policy").exists(), "between the stages");

    let trees = out.join("sft/seed-3/round-001/trees/part-00000.parquet");
    let written = fs::metadata(&trees).unwrap().modified().unwrap();
    assert_eq!(text(&run().stdout), table);
    assert_eq!(fs::metadata(&trees).unwrap().modified().unwrap(), written);
}

#[test]
fn the_gate_keeps_the_policy_that_a_training_would_have_spoilt() {
    let root = tempfile::tempdir().unwrap();
    let (run, config) = (root.path().join("run"), root.path().join("gated.toml"));
    let (fresh, tiny) = (&shared().1, fs::read_to_string(shared().0.path().join("tiny.toml")).unwrap());
    let spoiling = "[sft.train]\nlearning_rate = 0.5";
    let settings = tiny.replace("[sft.train]\nlearning_rate = 1e-4", spoiling);
    assert!(settings.contains(spoiling));
    fs::write(&config, settings + "[round]\nstages = [\"sft\", \"value\"]\ngate = 1.0\n").unwrap();
    let known = fresh.join("problems/warm_start.jsonl");
    let mut init = step_train();
    init.args(["init", "--name", "tiny", "--threads", "1", "--config"]).arg(&config).arg("--out").arg(&run);
    init.arg("--policy").arg(fresh.join("policy-000"));
    for set in ["--problems", "--warm-start", "--held-out", "--validation"] {
        init.arg(set).arg(&known);
    }
    succeed(&mut init);
    succeed(step_train().args(["round", "--until", "1", "--run"]).arg(&run));
    let round: serde_json::Value = serde_json::from_slice(&bytes(&run.join("round-001/manifest.json"))).unwrap();
    let gate = &round["gate"];
    let looks = gate["looks"].as_array().unwrap();
    assert!(gate["before"].as_u64() > Some(0) && looks[0]["worse"] == true, "{gate}");
    // Whichever is published, it answers no fewer than the first did.
    let published = looks.iter().find(|look| look["worse"] == false).map_or(&gate["before"], |look| &look["correct"]);
    assert!(published.as_u64() >= gate["before"].as_u64(), "{gate}");
    assert_eq!(looks.len(), 2, "{gate}");
    if looks[1]["worse"] == true {
        let weights = |policy: &str| bytes(&run.join(policy).join("model.safetensors"));
        assert!(weights("policy-001") == weights("policy-002"));
    }
}

#[test]
fn what_is_no_experiment_is_said_before_anything_is_made() {
    let root = tempfile::tempdir().unwrap();
    let grid = root.path().join("grid.toml");
    let refused = |text_of: &str| {
        fs::write(&grid, text_of).unwrap();
        let out = root.path().join("out");
        let output = step_train().arg("experiment").arg(&grid).arg("--out").arg(&out).output().unwrap();
        assert_eq!((output.status.code(), out.exists()), (Some(2), false), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(refused("seeds = [1]\n[methods.a.prefer]\nlos = \"dpo\"").contains("prefer.los is no setting"));
    assert!(refused("seeds = [1]\nconfig = \"missing.toml\"\n[methods.a]").contains("missing.toml"));
    let gate = refused("seeds = [1]\n[methods.a.round]\nstages = [\"value\"]\ngate = 0.5");
    assert!(gate.contains("round.gate is 0.5"), "{gate}");
}

#[test]
fn the_files_that_come_with_the_project_are_taken() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let files = |folder: &str| {
        let all = fs::read_dir(data.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        assert!(!all.is_empty());
        all
    };
    for file in files("configs") {
        succeed(step_train().args(["init", "--out", "run", "--print-config", "--config"]).arg(file));
    }
    for file in files("experiments") {
        succeed(step_train().arg("experiment").arg(file).args(["--out", "experiment", "--print-config"]));
    }
}
