//! Readers of what a stage is given and leaves: configurations, and the record of a stage.

use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_files::{publish_json, read_json};
use espalier_rounds::config::{RunConfig, SMALL};
use espalier_rounds::context::Program;
use espalier_rounds::contract::{Done, Identity, Process, Record};

const KEYS: &[&str] = &[
    "[search]\n",
    "[[search]]\n",
    "seed = ",
    "simulations = ",
    "nan",
    "inf",
    "-inf",
    "\"\"\"",
    "'''",
    "1979-05-27T07:32:00Z",
    "0x7fffffffffffffff",
    "[sft.train.lora]\n",
    "stop_when = ",
    "temperature = ",
    "{a.b = 1}",
    "search.k = 3\n",
    "1_000",
    "method = \"mcts:8\"\n",
    "[eval]\n",
    "true",
    "[prefer]\nloss = \"dpo\"\n",
];

pub(super) const TARGETS: [Target; 2] = [
    Target { name: "configuration", share: 60, words: KEYS, begin: configuration },
    Target { name: "stage-record", share: 200, words: &["\"identity\":", "\"settings\":", "\"done\":"], begin: record },
];

fn configuration(_: Scratch) -> Begun {
    let all = toml::to_string_pretty(&RunConfig::default()).expect("settings are TOML");
    let tables = "seed = 3\n[search]\nsimulations = 100\nc_puct = 2.5\nstop_when = { sampled_tokens = 7 }\n";
    Begun::new([SMALL.to_owned(), all, tables.to_owned()], |input| {
        let text = String::from_utf8_lossy(input);
        let Ok(config) = RunConfig::default().with_toml(&text) else { return false };
        if config.check().is_err() {
            return false;
        }
        let canonical = config.canonical().map(|canonical| canonical.len());
        drop((canonical, config.deciding()));
        if let Ok(written) = toml::to_string_pretty(&config) {
            let again = RunConfig::default().with_toml(&written).expect("what is written is read");
            assert_eq!(again, config, "what is written is read as it was");
        }
        true
    })
}

fn record(scratch: Scratch) -> Begun {
    let path = scratch.file("stage.json");
    let program =
        Program { version: "0.1.0".into(), command: vec!["step-train".into(), "sft".into()], ..Program::default() };
    let began_at = "2026-01-02T03:04:05Z".to_owned();
    let wanted = Identity::new("search", 2).with("search.k", 3).input("policy", "abc".into());
    let record = Record {
        identity: wanted.clone(),
        settings: serde_json::json!({ "search": { "k": 3, "c_puct": 0.1 } }),
        processes: vec![Process { program, device: "cpu".into(), began_at: began_at.clone(), wall_s: 1.25 }],
        done: Some(Done { at: began_at, result: "3 trees".into() }),
    };
    publish_json(&path, &record).expect("a record can be written");
    let seed = scratch.take("stage.json");
    Begun::new([seed], move |input| {
        let path = scratch.put("stage.json", input);
        let Ok(record) = read_json::<Record>(&path) else { return false };
        drop((record.identity.difference(&wanted), record.wall_s()));
        publish_json(&path, &record).expect("a record that was read can be written");
        assert_eq!(
            read_json::<Record>(&path).expect("what is written is read"),
            record,
            "what is written is read as it was"
        );
        true
    })
}
