//! A short run over all targets, with a fixed seed: no panic, no wait, no flood.

#![allow(clippy::disallowed_methods, reason = "a test makes a broken file")]

use std::process::{Command, Output};

fn fuzz(arguments: &[&str]) -> Output {
    let failures = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_espalier-fuzz"));
    command.args(arguments).arg("--failures").arg(failures.path()).output().unwrap()
}

#[test]
fn no_input_ends_a_loader_or_a_parser() {
    let output = fuzz(&["--inputs", "8000", "--seed", "1"]);
    let (said, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{problems}");
    assert!(said.lines().count() >= 30, "{said}");
}

#[test]
fn the_same_seed_tries_the_same_inputs() {
    // The number of accepted ones depends on every input before.
    let accepted = |seed: &str| {
        let output = fuzz(&["--inputs", "1000", "--target", "answers", "--seed", seed]);
        let said = String::from_utf8(output.stdout).unwrap();
        let columns = |line: &str| line.split_whitespace().nth(3).map(str::to_owned);
        said.lines().map(columns).collect::<Vec<_>>()
    };
    assert_eq!(accepted("3"), accepted("3"));
    assert_ne!(accepted("3"), accepted("4"));
}

#[test]
fn an_unknown_target_could_not_run() {
    let output = fuzz(&["--target", "nothing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no target nothing"));
}
