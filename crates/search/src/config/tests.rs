//! Tests of the settings: ranges, names, files.

use super::*;

#[test]
fn the_defaults_are_valid() {
    SearchConfig::default().check().expect("the paper's settings");
}

#[test]
fn a_bad_setting_is_named_with_its_value() {
    let bad: [(SearchConfig, &str); 6] = [
        (SearchConfig { simulations: 0, ..SearchConfig::default() }, "simulations is 0, but must be at least 1"),
        (SearchConfig { c_puct: f64::NAN, ..SearchConfig::default() }, "c_puct is NaN, but must be at least 0"),
        (
            SearchConfig { k_root: 70_000, ..SearchConfig::default() },
            "k_root is 70000, but must be between 1 and 65535",
        ),
        (SearchConfig { temperature: -0.5, ..SearchConfig::default() }, "temperature is -0.5, but must be at least 0"),
        (SearchConfig { max_depth: 0, ..SearchConfig::default() }, "max_depth is 0, but must be between 1 and 10000"),
        (
            SearchConfig { evaluation: Evaluation::Rollouts { count: 0 }, ..SearchConfig::default() },
            "evaluation is rollouts:0, but must be with N between 1 and 65535",
        ),
    ];
    for (config, message) in bad {
        assert_eq!(config.check().expect_err(message).to_string(), message);
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for evaluation in [Evaluation::ValueHead, Evaluation::Zero, Evaluation::Rollouts { count: 4 }] {
        assert_eq!(evaluation.to_string().parse::<Evaluation>().expect("own name"), evaluation);
    }
    for prior in [Prior::MeanProbability, Prior::Softmax] {
        assert_eq!(prior.to_string().parse::<Prior>().expect("own name"), prior);
    }
    let sized = [Strategy::BestOfN { count: 8 }, Strategy::Beam { width: 3 }, Strategy::Walk { count: 4 }];
    for strategy in sized.into_iter().chain([Strategy::Mcts, Strategy::BestFirst]) {
        assert_eq!(strategy.to_string().parse::<Strategy>().expect("own name"), strategy);
    }
    for first_play in [FirstPlay::Value(-0.1), FirstPlay::Value(0.0), FirstPlay::BelowParent(0.25)] {
        assert_eq!(first_play.to_string().parse::<FirstPlay>().expect("own name"), first_play);
    }
    for name in ["beam", "beam:0", "best_of_n:x", "walk:", "bfs"] {
        name.parse::<Strategy>().expect_err(name);
    }
    for name in ["parent", "below_parent:", "nan"] {
        name.parse::<FirstPlay>().expect_err(name);
    }
    for name in ["rollouts:0", "rollouts:", "rollouts", "Zero"] {
        name.parse::<Evaluation>().expect_err(name);
    }
}

#[test]
fn a_file_may_spell_what_a_flag_may() {
    for (line, evaluation) in [
        ("evaluation = \"rollouts:3\"", Evaluation::Rollouts { count: 3 }),
        ("evaluation = { rollouts = { count = 3 } }", Evaluation::Rollouts { count: 3 }),
        ("evaluation = \"value_head\"", Evaluation::ValueHead),
    ] {
        let config: SearchConfig = toml::from_str(line).expect(line);
        assert_eq!(config.evaluation, evaluation, "{line}");
        assert!(toml::to_string(&config).expect("TOML").contains(&format!("evaluation = \"{evaluation}\"")));
    }
    toml::from_str::<SearchConfig>("evaluation = \"rollouts:0\"").expect_err("no rollout");
}

#[test]
fn settings_keep_their_names_in_toml() {
    let config: SearchConfig = toml::from_str("k = 2\nevaluation = \"zero\"\nprior = \"softmax\"").expect("valid");
    let expected =
        SearchConfig { k: 2, evaluation: Evaluation::Zero, prior: Prior::Softmax, ..SearchConfig::default() };
    assert_eq!(config, expected);
    let config = SearchConfig {
        strategy: Strategy::Beam { width: 4 },
        first_play: FirstPlay::BelowParent(0.2),
        gumbel_root: Some(4),
        evaluation: Evaluation::Rollouts { count: 4 },
        stop_when: StopWhen {
            sampled_tokens: Some(5000),
            converged: Some(Converged { window: 20, tolerance: 0.01 }),
            ..StopWhen::default()
        },
        ..SearchConfig::default()
    };
    for config in [config, SearchConfig::default()] {
        let text = toml::to_string(&config).expect("written");
        assert_eq!(toml::from_str::<SearchConfig>(&text).expect("read back"), config, "{text}");
    }
    toml::from_str::<SearchConfig>("simulation = 5").expect_err("no such setting");
}
