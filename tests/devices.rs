//! A search writes the same bytes on any number of devices, in any memory, for any number of rows.

use crate::tiny::{finished, mcts_gen, succeed, text};
use assert_cmd::Command;
use std::fs;
use std::path::Path;

/// The command of a small search.
fn search(out: &Path, flags: &[&str]) -> Command {
    let mut command = mcts_gen();
    command
        .args([
            "search",
            "--simulations",
            "6",
            "--limit",
            "6",
            "--max-step-tokens",
            "40",
            "--shard-trees",
            "4",
            "--problems",
        ])
        .arg(finished().join("problems/held_out.jsonl"))
        .arg("--policy")
        .arg(finished().join("policy-001"))
        .arg("--out")
        .arg(out)
        .args(flags);
    command
}

/// Searches; the bytes of the shards.
fn searched(out: &Path, flags: &[&str]) -> Vec<Vec<u8>> {
    succeed(&mut search(out, flags));
    ["part-00000.parquet", "part-00001.parquet"].map(|name| fs::read(out.join("trees").join(name)).unwrap()).into()
}

#[test]
fn devices_memory_and_rows_change_no_byte() {
    let root = tempfile::tempdir().unwrap();
    let wanted = searched(&root.path().join("one"), &["--threads", "1"]);
    assert!(wanted.iter().all(|shard| shard.len() > 1000));
    let ways: [(&str, &[&str]); 4] = [
        ("devices", &["--device", "cpu,cpu"]),
        ("rows", &["--max-rows", "3"]),
        ("memory", &["--cache-mib", "1"]),
        ("all", &["--device", "cpu,cpu,cpu", "--cache-mib", "1", "--max-rows", "7", "--in-flight", "3"]),
    ];
    for (name, flags) in ways {
        assert!(searched(&root.path().join(name), flags) == wanted, "{name}");
    }
    // The other numerics are another search.
    let refused = search(&root.path().join("one"), &["--numerics", "fast"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("sampling.numerics"), "{}", text(&refused.stderr));
    searched(&root.path().join("fast"), &["--numerics", "fast"]);
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let refused = search(Path::new("never"), &["--device", "cuda:7"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let wanted = "runtime.device is \"cuda:7\", but LibTorch sees";
    assert!(text(&refused.stderr).contains(wanted), "{}", text(&refused.stderr));
}
