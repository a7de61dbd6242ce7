//! `step-train objective`: the README's table, and what objectives say of numbers written down elsewhere.

use crate::tiny::{step_train, succeed, text};
use serde_json::{Value, json};
use std::fs;

/// The trainer's test vectors: values and gradients that were computed independently in float64.
fn vectors() -> Vec<Value> {
    let lines = include_str!("../crates/trainer/tests/loss_vectors.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn lines(output: &[u8]) -> Vec<Value> {
    text(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_readme_has_the_table_that_the_program_prints() {
    let printed = text(&succeed(step_train().args(["objective", "--list"])).stdout);
    assert!(printed.lines().any(|line| line.starts_with("| `step_apo` |") && line.contains("beta 0.3")), "{printed}");
    assert!(include_str!("../README.md").contains(&printed), "put this into README.md:\n{printed}");
}

#[test]
fn cases_come_back_in_order_with_value_and_gradients() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    let expected = vectors();
    fs::write(&path, json!({ "about": "all", "cases": expected }).to_string()).unwrap();
    let printed = lines(&succeed(step_train().args(["objective", "--cases"]).arg(&path)).stdout);
    assert_eq!(printed.len(), expected.len());
    for (got, case) in printed.iter().zip(&expected) {
        assert_eq!(got["loss"], case["loss"]);
        for field in ["value", "grad_lp_w", "grad_lp_l", "grad_lp"].iter().filter(|field| !case[**field].is_null()) {
            let pairs: Vec<(f64, f64)> = match (&got[*field], &case[*field]) {
                (Value::Array(a), Value::Array(b)) => {
                    assert_eq!(a.len(), b.len());
                    a.iter().zip(b).map(|(a, b)| (a.as_f64().unwrap(), b.as_f64().unwrap())).collect()
                }
                (a, b) => vec![(a.as_f64().unwrap(), b.as_f64().unwrap())],
            };
            for (a, b) in pairs {
                assert!((a - b).abs() <= 1e-9 * b.abs() + 1e-16, "{case}: {field} is {a}");
            }
        }
    }
    let only = lines(&succeed(step_train().args(["objective", "--loss", "ipo", "--cases"]).arg(&path)).stdout);
    let of_ipo: Vec<Value> = printed.into_iter().filter(|line| line["loss"] == "ipo").collect();
    assert_eq!(only, of_ipo);
}

#[test]
fn bad_cases_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    let fails = |cases: Value, flags: &[&str]| {
        fs::write(&path, json!({ "cases": cases }).to_string()).unwrap();
        let output = step_train().arg("objective").args(flags).arg("--cases").arg(&path).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        text(&output.stderr)
    };
    let pair = json!({ "lp_w": -1.0, "lp_l": -2.0 });
    assert!(
        fails(json!([{ "loss": "dpo", "inputs": pair }, { "inputs": pair }]), &[]).contains("case 1 names no loss")
    );
    let error = fails(json!([{ "loss": "dpo", "params": { "gamma": 1.0 }, "inputs": pair }]), &[]);
    assert!(error.contains("case 0") && error.contains("no parameter \"gamma\""), "{error}");
    let list = json!({ "lp": [-1.0, -2.0], "ref": [-1.0], "q": [0.5, 0.1] });
    let error = fails(json!([{ "inputs": list }]), &["--loss", "plackett_luce"]);
    assert!(error.contains("ref has 1 numbers and lp has 2"), "{error}");
    let error = fails(json!([{ "inputs": pair }]), &["--loss", "plackett_luce"]);
    assert!(error.contains("takes lists of siblings"), "{error}");
    assert!(fails(json!([{ "inputs": pair }]), &["--loss", "nonesuch"]).contains("known are: step_apo"));
}
