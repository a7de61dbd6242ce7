//! Problem files as their publishers lay them out, and the stored files as other tools see them.

use crate::tiny::{finished, mcts_gen, succeed, text};
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

fn searched(problems: &Path, out: &Path) -> Vec<(String, String)> {
    let output = succeed(
        mcts_gen()
            .args(["search", "--simulations", "2", "--limit", "2", "--max-step-tokens", "40", "--problems"])
            .arg(problems)
            .arg("--policy")
            .arg(finished().join("policy-001"))
            .arg("--out")
            .arg(out),
    );
    assert!(text(&output.stdout).starts_with("2 trees"), "{}", text(&output.stdout));
    let trees = espalier_tree::read_trees(&out.join("trees")).unwrap();
    trees.map(|tree| tree.unwrap().info).map(|info| (info.question, info.reference_answer)).collect()
}

#[test]
fn jsonl_json_and_parquet_of_several_layouts_are_searched() {
    let root = tempfile::tempdir().unwrap();
    let wanted =
        [("Ann has 2 hens and buys 3.".to_owned(), "5".to_owned()), ("6 times 7?".to_owned(), "42".to_owned())];

    let gsm8k = root.path().join("gsm8k.jsonl");
    let lines = [
        r#####"{"question": "Ann has 2 hens and buys 3.", "answer": "2 + 3 = <<2+3=5>>5 hens.\n#### 5"}"#####,
        r#####"{"question": "6 times 7?", "answer": "It is 42.\n#### 42"}"#####,
        r#####"{"question": "Beyond the limit?", "answer": "#### 1"}"#####,
    ];
    fs::write(&gsm8k, lines.join("\n")).unwrap();
    assert_eq!(searched(&gsm8k, &root.path().join("a")), wanted);

    let array = root.path().join("cpl.json");
    let rows = r#"[{"index": 0, "question": "Ann has 2 hens and buys 3.", "answer": "5"},
                   {"index": 1, "input": "6 times 7?", "target": 42.0}]"#;
    fs::write(&array, rows).unwrap();
    assert_eq!(searched(&array, &root.path().join("b")), wanted);

    let table = root.path().join("problems.parquet");
    let column = |texts: [&str; 2]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("question", column(["Ann has 2 hens and buys 3.", "6 times 7?"])),
        ("answer", column(["5", "42"])),
    ])
    .unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&table).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_eq!(searched(&table, &root.path().join("c")), wanted);
}

#[test]
fn a_plain_parquet_reader_finds_the_columns_that_trl_reads() {
    let file = File::open(finished().join("round-001/pairs/part-00000.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut rows = 0;
    for batch in reader {
        let batch = batch.unwrap();
        rows += batch.num_rows();
        for name in ["prompt", "chosen", "rejected"] {
            let column = batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
            assert!(column.iter().all(|value| value.is_some_and(|value| !value.is_empty())), "{name}");
        }
    }
    assert!(rows > 0);
}

#[test]
fn pairs_are_exported_for_other_trainers() {
    let root = tempfile::tempdir().unwrap();
    for (export, file, key) in
        [("llama-factory", "llama_factory.jsonl", "instruction"), ("step-dpo", "step_dpo.jsonl", "full_chosen")]
    {
        let out = root.path().join(export);
        let trees = finished().join("round-001/trees");
        succeed(mcts_gen().args(["pairs", "--export", export, "--trees"]).arg(trees).arg("--out").arg(&out));
        let lines = fs::read_to_string(out.join(file)).unwrap();
        assert!(lines.lines().count() > 0);
        for line in lines.lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(row[key].is_string(), "{line}");
        }
    }
}
