//! `step-train experiment`: every method on the trees of a tiny run.

use crate::tiny::{shared, step_train, succeed, text};
use std::fs;

#[test]
fn methods_share_their_trees_and_a_finished_experiment_is_not_run_again() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("experiment");
    let run = || {
        let mut command = step_train();
        command.args(["experiment", "methods", "--seeds", "1", "--threads", "1", "--config"]);
        succeed(command.arg(shared().0.path().join("tiny.toml")).arg("--out").arg(&out))
    };
    let table = text(&run().stdout);
    let methods =
        ["sft", "step_apo_alone", "found_sft", "more_sft", "rejection_sft", "outcome_dpo", "step_dpo", "step_apo"];
    for method in methods {
        let rows = table.lines().filter(|line| line.split_whitespace().nth(1) == Some(method));
        assert_eq!(rows.count(), 2, "{method} in: {table}");
    }
    let rows: serde_json::Value = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    assert!(rows.iter().all(|row| row["blocks"] == 1 && row["in_domain"]["mean"].is_number()), "{rows:?}");
    let tokens = |method: &str| rows.iter().find(|row| row["method"] == method).unwrap()["tokens"].as_f64().unwrap();
    assert!(tokens("sft") == 0.0 && tokens("rejection_sft") > 0.0);
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("step_apo"));

    let trees = out.join("plan-0/round-001/trees/part-00000.parquet");
    let written = fs::metadata(&trees).unwrap().modified().unwrap();
    assert_eq!(text(&run().stdout), table);
    assert_eq!(fs::metadata(&trees).unwrap().modified().unwrap(), written);
}
