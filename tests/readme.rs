//! The README's commands, run as they stand there. A small trained policy stands in for the one that a line downloads, and
//! a fake server for the one that a line names.

use crate::serve::Served;
use crate::servers::FolderBrain;
use crate::tiny::{finished, found_nothing, process, shared, text};
use espalier_server::testing::{FakeServer, Manners};
use std::fs;
use std::path::Path;

/// The README's blocks in a language.
fn blocks(language: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(language));
    blocks.filter_map(|block| block.strip_prefix('\n')).map(str::to_owned).collect()
}

/// The words of a line; those within double quotation marks belong together.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    parts.flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }).collect()
}

/// The lines of the README's shell blocks, without comments.
fn commands() -> Vec<String> {
    let blocks = blocks("sh");
    let lines = blocks.iter().flat_map(|block| block.lines()).map(|line| line.split(" #").next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn every_command_runs() {
    let root = tempfile::tempdir().unwrap();
    fs::copy(shared().1.join("problems/warm_start.jsonl"), root.path().join("problems.jsonl")).unwrap();
    fs::write(root.path().join("prompt.txt"), "Anna has 3 apples and buys 4 more.").unwrap();
    let task = blocks("toml").into_iter().find(|block| block.contains("chat = true")).unwrap();
    fs::write(root.path().join("task.toml"), task).unwrap();
    let server = FakeServer::new(FolderBrain::new(&finished().join("policy-003")), Manners::Vllm);
    let mut run = 0;
    for line in commands() {
        let line = line.replace("http://localhost:8000", &server.url());
        let words = words(&line);
        match words[..] {
            // The set-up and what follows it: CI calls the one, and `whole_run` the commands inside the other.
            ["scripts/start.sh" | "scripts/test.sh"] => {
                assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(words[0]).exists(), "{line}");
            }
            ["python3", "scripts/smollm2.py", "--out", folder] => {
                copy_folder(&finished().join("policy-003"), &root.path().join(folder));
                let template = "{% for m in messages %}{{ m.content }}{% endfor %}";
                fs::write(root.path().join(folder).join("chat_template.jinja"), template).unwrap();
            }
            ["target/release/mcts-gen", "serve", ..] => {
                // On a port of its own, until it is told to end.
                let mut serve = process("mcts-gen");
                serve.args(&words[1..]).args(["--port", "0"]).current_dir(root.path()).env_remove("ESPALIER_API_KEY");
                assert_eq!(Served::of(serve).ended(), Some(0), "`{line}`");
                run += 1;
            }
            _ => {
                let name = words[0].strip_prefix("target/release/").unwrap_or_else(|| panic!("no test runs `{line}`"));
                let output = process(name).args(&words[1..]).current_dir(root.path()).output().unwrap();
                // What the stand-in was not trained on it answers with nothing that is well-formed, which is said.
                let (said, code) = (text(&output.stdout), output.status.code());
                let is_strange = line.contains("--task task.toml") && code == Some(1);
                let is_diagnosed = is_strange && said.contains("likeliest cause: ");
                assert!(
                    output.status.success() || is_diagnosed || found_nothing(&output),
                    "`{line}`: {said}{}",
                    text(&output.stderr)
                );
                run += 1;
            }
        }
    }
    assert!(run >= 5, "only {run} commands found");
}
