//! Settings as flags, files and pages: help texts tell the truth, and a printed configuration can be given back.

use crate::tiny::{finished, mcts_gen, step_train, succeed, text};
use assert_cmd::Command;
use std::fs;

type Program = fn() -> Command;

/// The commands that have a configuration.
const COMMANDS: [(Program, &str); 12] = [
    (mcts_gen, "search"),
    (mcts_gen, "pairs"),
    (mcts_gen, "complete"),
    (mcts_gen, "score"),
    (step_train, "init"),
    (step_train, "round"),
    (step_train, "sft"),
    (step_train, "prefer"),
    (step_train, "compare"),
    (step_train, "value"),
    (step_train, "eval"),
    (step_train, "experiment"),
];

fn command(program: Program, name: &str) -> Command {
    let mut command = program();
    command.arg(name);
    // The configuration of a round is its run's.
    if name == "round" {
        command.arg("--run").arg(finished());
    }
    if name == "experiment" {
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/experiments/methods.toml"));
    }
    command
}

fn printed(command: &mut Command) -> String {
    text(&succeed(command.arg("--print-config")).stdout)
}

/// The flags under `Settings` in a help text, each with all that is said of it on one line.
fn setting_flags(help: &str) -> Vec<String> {
    let mut flags: Vec<String> = Vec::new();
    let settings = help.split_once("\nSettings").map(|(_, settings)| settings).unwrap_or_default();
    for line in settings.lines().map(str::trim) {
        if line.starts_with("--") {
            flags.push(line.to_owned());
        } else if let Some(flag) = flags.last_mut().filter(|_| !line.starts_with("Settings")) {
            *flag += " ";
            *flag += line;
        }
    }
    flags
}

#[test]
fn a_flag_that_is_given_the_default_of_its_help_changes_nothing() {
    for (program, name) in COMMANDS {
        let help = text(&succeed(program().args([name, "--help"])).stdout);
        let flags = setting_flags(&help);
        assert!(!flags.is_empty(), "{name}: {help}");
        let given: Vec<String> = flags
            .iter()
            .filter_map(|flag| {
                let (_, default) = flag.split_once("[default: ")?;
                let long = flag.split([' ', '[']).next()?;
                Some(format!("{long}={}", default.split_once(']')?.0))
            })
            .collect();
        assert!(["round", "experiment"].contains(&name) || given.len() > 2, "{name} shows too few defaults: {given:?}");
        let with = printed(command(program, name).args(&given));
        assert_eq!(with, printed(&mut command(program, name)), "{name} {given:?}");
    }
}

#[test]
fn closed_choices_are_listed_in_help_and_refused_in_one_line() {
    let help = text(&succeed(step_train().args(["prefer", "--help"])).stdout);
    for names in ["- as_given:", "- cosine:", "- bfloat16:", "step_apo, step_dpo", "q_proj, k_proj"] {
        assert!(help.contains(names), "{names:?} is not in {help}");
    }
    let output = step_train().args(["prefer", "--order", "sorted", "--print-config"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = "error: prefer.train.order is \"sorted\", but must be one of shuffled, as_given\n";
    assert_eq!(text(&output.stderr), message);
}

#[test]
fn a_printed_configuration_can_be_given_back() {
    let root = tempfile::tempdir().unwrap();
    for (program, name) in COMMANDS {
        let config = printed(&mut command(program, name));
        let file = root.path().join(format!("{name}.toml"));
        fs::write(&file, &config).unwrap();
        assert_eq!(printed(command(program, name).arg("--config").arg(&file)), config, "{name}");
    }
    // Flags over the file, in all their forms.
    let search = ["--c-puct", "0.1", "--first-play", "-0.25", "--evaluation", "rollouts:4", "--balance"];
    let config = printed(mcts_gen().arg("search").args(search).arg("--config").arg(root.path().join("search.toml")));
    let table: toml::Table = toml::from_str(&config).unwrap();
    assert_eq!(table["search"]["c_puct"].as_float(), Some(0.1));
    assert_eq!(table["search"]["first_play"].as_str(), Some("-0.25"));
    assert_eq!(table["search"]["evaluation"].as_str(), Some("rollouts:4"));
    assert_eq!(table["pairs"]["balance"].as_bool(), Some(true));
    let prefer = [
        "--set",
        "beta=0.5",
        "--set",
        "gamma=1",
        "--freeze",
        "a.*",
        "--freeze",
        "b",
        "--lora-targets",
        "q_proj,v_proj",
    ];
    let table: toml::Table = toml::from_str(&printed(step_train().arg("prefer").args(prefer))).unwrap();
    assert_eq!(table["prefer"]["parameters"].to_string(), "{ beta = 0.5, gamma = 1.0 }");
    assert_eq!(table["prefer"]["train"]["freeze"].to_string(), "[\"a.*\", \"b\"]");
    assert_eq!(table["prefer"]["train"]["lora"]["targets"].to_string(), "[\"q_proj\", \"v_proj\"]");
}

#[test]
fn printing_a_configuration_needs_no_input_and_makes_no_output() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("named-by-its-folder");
    let config = printed(step_train().arg("init").arg("--out").arg(&out));
    assert!(config.contains("name = \"named-by-its-folder\"") && config.contains("simulations = 16"), "{config}");
    let paper = printed(step_train().args(["init", "--policy", "nowhere"]));
    assert!(paper.contains("simulations = 200"), "{paper}");
    assert!(!out.exists());
    // What is wrong is said all the same.
    let output = mcts_gen().args(["search", "--simulations", "0", "--print-config"]).output().unwrap();
    assert_eq!(text(&output.stderr), "error: search.simulations is 0, but must be at least 1\n");
}

#[test]
fn a_file_with_an_old_key_says_where_it_went() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("old.toml");
    fs::write(&file, "[search]\nin_flight = 8\n").unwrap();
    let output = mcts_gen().args(["search", "--print-config", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("search.in_flight is now runtime.in_flight") && message.lines().count() == 1, "{message}");
}

#[test]
fn a_round_takes_no_other_settings_than_the_runs() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("other.toml");
    fs::write(&file, "[runtime]\nmax_rows = 3\n[search]\nsimulations = 9\n").unwrap();
    let output = step_train().args(["round", "--run"]).arg(finished()).arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--config changes search.simulations of the run"), "{output:?}");
}

#[test]
fn the_reference_names_every_setting() {
    let page = text(&succeed(step_train().arg("settings")).stdout);
    assert!(page.contains("## `[search]`") && page.contains("| `simulations` | `200` |"), "{page}");
    let config: toml::Table = toml::from_str(&printed(mcts_gen().arg("search"))).unwrap();
    for name in config["search"].as_table().unwrap().keys().chain(config["eval"].as_table().unwrap().keys()) {
        assert!(page.contains(&format!("`{name}`")) || page.contains(&format!(".{name}]")), "{name} is not in {page}");
    }
}
