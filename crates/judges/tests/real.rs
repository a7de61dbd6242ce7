//! The rules on texts that people wrote.

use espalier_judges::Refusal;
use std::path::Path;

/// Nobody who solved a problem of GSM8K declined to.
#[test]
#[ignore = "needs the real files: ESPALIER_DATA"]
fn no_worked_solution_declines() {
    let folder = std::env::var("ESPALIER_DATA").expect("ESPALIER_DATA");
    let mut texts = 0;
    for name in ["gsm8k_train.jsonl", "gsm8k_test.jsonl"] {
        for line in std::fs::read_to_string(Path::new(&folder).join(name)).unwrap().lines() {
            let fields: serde_json::Value = serde_json::from_str(line).unwrap();
            for column in ["question", "answer"] {
                let text = fields[column].as_str().unwrap();
                assert!(!Refusal::declines(text), "{text}");
                texts += 1;
            }
        }
    }
    assert_eq!(texts, 2 * (7473 + 1319));
}
