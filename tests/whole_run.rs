//! Rounds of search and training, and what they leave behind.

use crate::tiny::{finished, init, mcts_gen, shared, step_train, succeed, text};
use espalier_model::Transformer;
use espalier_tree::{read_pairs, read_trees};
use std::fs;

#[test]
fn rounds_leave_trees_pairs_policies_a_table_and_a_report() {
    let run = finished();
    for round in 0..=2 {
        assert!(run.join(format!("policy-{round:03}/model.safetensors")).is_file());
        let manifest = fs::read_to_string(run.join(format!("round-{round:03}/manifest.json"))).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["round"], round);
        assert_eq!(manifest["eval"]["groups"][0]["all"]["problems"], 12);
    }
    let trees: Vec<_> = read_trees(&run.join("round-001/trees")).unwrap().map(Result::unwrap).collect();
    assert_eq!(trees.len(), 6, "per_round trees");
    let pairs = read_pairs(&run.join("round-001/pairs")).unwrap();
    assert!(!pairs.is_empty(), "a policy that knows its problems at temperature 1.2 finds right and wrong paths");
    for pair in &pairs {
        assert!(pair.q_chosen > 0.0 && pair.q_rejected < 0.0);
    }
    // Every stage trained and said so.
    for stage in
        ["round-000/train/warm_start", "round-001/train/sft", "round-001/train/prefer", "round-001/train/value"]
    {
        let metrics = fs::read_to_string(run.join(stage).join("metrics.jsonl")).unwrap();
        assert!(metrics.lines().count() > 0, "{stage}");
        assert!(!run.join(stage).join("trainer_state").exists(), "{stage} leaves its state");
    }
    // The value head of round 1 guides round 2.
    assert!(run.join("policy-002/value_head.safetensors").is_file());
    let guided = read_trees(&run.join("round-002/trees"))
        .unwrap()
        .map(Result::unwrap)
        .any(|tree| tree.ids().any(|id| tree.node(id).value_estimate().is_some()));
    assert!(guided);

    let report = text(&succeed(step_train().args(["report", "--run"]).arg(run)).stdout);
    let rows: Vec<_> = report.lines().filter(|line| line.contains(" % [")).collect();
    assert_eq!(rows.len(), 3, "a row a round: {report}");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("held out, in domain"), "the report has its curves and its table");
}

#[test]
fn the_warm_start_learns() {
    // Twelve problems by heart: anything below most of them means that training, decoding or reading is broken.
    let run = finished();
    let eval: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(run.join("round-000/eval.json")).unwrap()).unwrap();
    assert!(eval["groups"][0]["all"]["correct"].as_u64().unwrap() >= 8, "{eval}");
}

#[test]
fn a_finished_run_given_again_changes_nothing() {
    let run = finished();
    let manifest = run.join("round-002/manifest.json");
    let before = fs::read(&manifest).unwrap();
    succeed(step_train().args(["round", "--all", "--run"]).arg(run));
    assert_eq!(fs::read(&manifest).unwrap(), before);
}

#[test]
fn stored_trees_keep_their_invariants_and_can_be_shown() {
    let trees = finished().join("round-001/trees");
    let checked = text(&succeed(mcts_gen().args(["show", "--check", "--trees"]).arg(&trees)).stdout);
    assert!(checked.ends_with("6 trees checked, 0 violations\n"), "{checked}");
    let shown = text(&succeed(mcts_gen().args(["show", "--limit", "1", "--trees"]).arg(&trees)).stdout);
    assert!(shown.contains("root N ") && shown.contains("[correct]"), "{shown}");
    assert!(!shown.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn every_strategy_and_rule_runs_from_the_command_line() {
    let out = tempfile::tempdir().unwrap();
    let policy = finished().join("policy-001");
    let search = |name: &str, flags: &[&str]| {
        let made = out.path().join(name);
        succeed(
            mcts_gen()
                .args(["search", "--simulations", "6", "--max-step-tokens", "40", "--limit", "3", "--problems"])
                .arg(shared().1.join("problems/held_out.jsonl"))
                .arg("--policy")
                .arg(&policy)
                .arg("--out")
                .arg(&made)
                .args(flags),
        );
        let trees = made.join("trees");
        let checked = text(&succeed(mcts_gen().args(["show", "--check", "--trees"]).arg(&trees)).stdout);
        assert!(checked.ends_with("3 trees checked, 0 violations\n"), "{name}: {checked}");
        trees
    };
    search("best_of_n", &["--strategy", "best_of_n:4"]);
    search("beam", &["--strategy", "beam:2"]);
    search("best_first", &["--strategy", "best_first", "--correct-solutions", "1"]);
    search("uct", &["--selection", "uct", "--first-play", "below_parent:0.2", "--wall-s", "600"]);
    let trees = search("gumbel", &["--gumbel-root", "4", "--leaves-per-tree", "3"]);
    for rule in ["reward_to_go", "mcts_dpo", "ranked"] {
        let pairs = out.path().join(rule);
        let flags =
            ["pairs", "--balance", "true", "--curriculum", "margin", "--export", "ranked-lists", "--rule", rule];
        let printed = text(&succeed(mcts_gen().args(flags).arg("--trees").arg(&trees).arg("--out").arg(&pairs)).stdout);
        assert!(printed.contains(" of 3 trees\n") && printed.contains("margin <= 2.0"), "{printed}");
        assert!(pairs.join("ranked_lists.jsonl").is_file());
    }
}

#[test]
fn each_stage_also_runs_by_hand() {
    let out = tempfile::tempdir().unwrap();
    let run = finished();
    let (policy, trees) = (run.join("policy-001"), run.join("round-001/trees"));
    let pairs = out.path().join("pairs");
    succeed(
        mcts_gen()
            .args(["pairs", "--rule", "all", "--min-margin", "0.1", "--trees"])
            .arg(&trees)
            .arg("--out")
            .arg(&pairs),
    );
    assert!(!read_pairs(&pairs).unwrap().is_empty());
    for (command, flag, input) in
        [("sft", "--trees", &trees), ("prefer", "--pairs", &pairs), ("value", "--trees", &trees)]
    {
        let made = out.path().join(command);
        succeed(
            step_train()
                .arg(command)
                .args(["--epochs", "1", "--learning-rate", "1e-4", "--policy"])
                .arg(&policy)
                .arg(flag)
                .arg(input)
                .arg("--out")
                .arg(&made),
        );
        let eval = out.path().join(format!("{command}.json"));
        succeed(
            step_train()
                .args(["eval", "--max-tokens", "40", "--limit", "2", "--policy"])
                .arg(&made)
                .arg("--problems")
                .arg(shared().1.join("problems/held_out.jsonl"))
                .arg("--out")
                .arg(&eval),
        );
        assert!(eval.is_file());
    }
}

#[test]
fn a_round_trains_the_stages_that_are_named_and_extrapolates() {
    let root = tempfile::tempdir().unwrap();
    let run = init(root.path(), "extrapolated");
    let config = run.join("config.toml");
    let mut table: toml::Table = toml::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    table["round"] = toml::from_str::<toml::Table>("stages = ['prefer']\nextrapolation = 0.5").unwrap().into();
    fs::write(&config, toml::to_string(&table).unwrap()).unwrap();
    let round = |until: &str| succeed(step_train().args(["round", "--until", until, "--run"]).arg(&run));
    let weights = |folder: &str| -> Vec<f32> {
        let model = Transformer::load(&run.join(folder), tch::Device::Cpu, tch::Kind::Float).unwrap();
        model.parameters().flat_map(|(_, weight)| Vec::<f32>::try_from(weight.flatten(0, -1)).unwrap()).collect()
    };
    // What the rounds trained, before it was extrapolated, lies there as long as the next round needs it.
    let trained = ["policy-001", "round-001/train/prefer/policy", "round-002/train/prefer/policy"];
    let mut before = Vec::new();
    for number in [1, 2] {
        round(&number.to_string());
        assert!(!run.join(format!("round-{number:03}/train/sft")).exists(), "no stage that is not named");
        let previous = if number == 1 { weights(trained[0]) } else { before };
        let now = weights(trained[number]);
        assert_ne!(now, previous, "round {number} changed something");
        let extrapolated = weights(&format!("policy-{:03}", number + 1));
        for ((&new, &theta), &previous) in extrapolated.iter().zip(&now).zip(&previous) {
            assert!((new - (theta + 0.5 * (theta - previous))).abs() < 1e-6, "{previous}, {theta}, {new}");
        }
        before = now;
    }
    assert!(!run.join(trained[1]).exists(), "nobody needs it any more");
}

#[test]
fn an_edited_configuration_is_shown_and_asked_about() {
    let root = tempfile::tempdir().unwrap();
    let run = init(root.path(), "edited");
    succeed(step_train().args(["round", "--run"]).arg(&run));
    let path = run.join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.contains("simulations = 8"), "{config}");
    fs::write(&path, config.replace("simulations = 8", "simulations = 9")).unwrap();
    let refused = step_train().args(["round", "--run"]).arg(&run).output().unwrap();
    let message = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("since round 0: search.simulations was 8 and is 9"), "{message}");
    assert!(!run.join("round-001").exists());
    succeed(step_train().args(["round", "--accept-changes", "--run"]).arg(&run));
    assert!(run.join("round-001/manifest.json").is_file());
}
