//! A run that takes seconds: a policy of some thousand parameters that learns four problems by heart, then searches them.

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Shape and sizes of the fresh policy; the rounds are too short to learn anything but what is known by heart.
const CONFIG: &str = r#"
rounds = 2
format = "xml"
[problems]
warm_start = [12]
per_round = 6
held_out = 4
out_of_domain = 2
min_steps = 2
max_steps = 2
[storage]
shard_trees = 2
[model]
vocab_size = 400
hidden_size = 48
intermediate_size = 96
layers = 2
heads = 2
kv_heads = 1
context = 256
[search]
simulations = 8
temperature = 1.2
max_step_tokens = 80
[warm_start]
learning_rate = 1e-2
epochs = 120
batch_size = 6
save_every_s = 0.2
[sft.train]
learning_rate = 1e-4
epochs = 1
[prefer.train]
learning_rate = 1e-4
epochs = 1
[value]
learning_rate = 1e-2
epochs = 2
[eval]
max_tokens = 160
"#;

pub fn mcts_gen() -> Command {
    executable("mcts-gen")
}

pub fn step_train() -> Command {
    executable("step-train")
}

fn executable(name: &str) -> Command {
    Command::from_std(process(name))
}

/// The executable `mcts-gen` or `step-train` as a plain process.
pub fn process(name: &str) -> std::process::Command {
    let mut process = std::process::Command::new(assert_cmd::cargo::cargo_bin(name));
    // LibTorch's threads would spin while they wait, and on a busy machine hold up those that they wait for.
    process.env("OMP_WAIT_POLICY", "passive");
    process
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must succeed. A tiny policy may find nothing in a search that ran to its end: that is exit code 1, with
/// the reason.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the executable starts");
    assert!(output.status.success() || found_nothing(&output), "{:?}: {}", command, text(&output.stderr));
    output
}

/// Whether a command ended with nothing to train on, and said so.
pub fn found_nothing(output: &Output) -> bool {
    let said = text(&output.stdout) + &text(&output.stderr);
    output.status.code() == Some(1)
        && (said.contains("no correct solution; of the ends") || said.contains("no pairs: "))
}

/// Makes the run `root/name` over problems that the policy will know by heart. Its rows carry one name wherever it lies.
pub fn init(root: &Path, name: &str) -> PathBuf {
    let fresh = &shared().1;
    let run = root.join(name);
    let problems = fresh.join("problems/warm_start.jsonl");
    succeed(
        step_train()
            .args(["init", "--name", "tiny", "--threads", "1"])
            .arg("--policy")
            .arg(fresh.join("policy-000"))
            .arg("--config")
            .arg(fresh.join("../tiny.toml"))
            .arg("--problems")
            .arg(&problems)
            .arg("--warm-start")
            .arg(&problems)
            .arg("--held-out")
            .arg(&problems)
            .arg("--out")
            .arg(&run),
    );
    run
}

/// A run with all its rounds done, made once.
pub fn finished() -> &'static Path {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, run) = RUN.get_or_init(|| {
        let root = tempfile::tempdir().expect("a temporary folder");
        let run = init(root.path(), "finished");
        succeed(step_train().args(["round", "--all", "--run"]).arg(&run));
        (root, run)
    });
    run
}

/// A fresh run with generated problems, made once: where `init` takes its problems and its policy from.
pub fn shared() -> &'static (TempDir, PathBuf) {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    RUN.get_or_init(|| {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(root.path().join("tiny.toml"), CONFIG).expect("a writable temporary folder");
        let run = root.path().join("fresh");
        succeed(step_train().args(["init", "--config"]).arg(root.path().join("tiny.toml")).arg("--out").arg(&run));
        (root, run)
    })
}
