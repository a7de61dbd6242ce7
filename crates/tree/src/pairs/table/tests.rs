//! Tests of the `pairs` table.

use super::*;
use crate::grown::grown;
use crate::pairs::{PairRule, PairRules, select_pairs};
use std::fs;
use std::path::PathBuf;

fn some_pairs() -> Vec<StepPair> {
    let rules = PairRules { rule: PairRule::All, ..PairRules::default() };
    let mut pairs: Vec<StepPair> = (0..160).flat_map(|seed| select_pairs(&grown(seed, 60), &rules)).collect();
    for (at, pair) in pairs.iter_mut().enumerate() {
        pair.weight = 1.0 / (1.0 + at as f32);
        pair.kind = Kind::STEPS[at % 3];
    }
    pairs
}

fn info() -> PairInfo {
    PairInfo { rules: "rule = \"all\"\n".into(), program_version: "0.1.0".into(), policy_hash: None }
}

fn written(folder: &Path, name: &str, pairs: &[StepPair]) -> PathBuf {
    let path = folder.join(name);
    write_pairs(&path, pairs, &info()).unwrap();
    path
}

/// Writes one batch of any columns as a file without metadata.
fn foreign(path: &Path, batch: &RecordBatch) {
    let mut sink = RowSink::create(path, batch.schema(), &[], |properties| properties).unwrap();
    sink.write(batch).unwrap();
    sink.publish().unwrap();
}

#[test]
fn pairs_come_back_from_files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = some_pairs();
    assert!(pairs.len() > BATCH_ROWS, "{}", pairs.len());
    let path = written(folder.path(), "part-00000.parquet", &pairs);
    assert!(read_pairs(&path).unwrap() == pairs);
    written(folder.path(), "part-00001.parquet", &pairs[..3]);
    written(folder.path(), "part-00002.parquet", &[]);
    assert!(read_pairs(folder.path()).unwrap() == [&pairs[..], &pairs[..3]].concat());
}

#[test]
fn the_same_pairs_give_the_same_bytes_and_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = &some_pairs()[..50];
    let first = written(folder.path(), "a.parquet", pairs);
    let second = written(folder.path(), "b.parquet", pairs);
    assert!(fs::read(&first).unwrap() == fs::read(second).unwrap());
    let file = ParquetFile::open(&first).unwrap();
    assert_eq!(file.metadata("espalier.format_version"), Some("1"));
    assert_eq!(pair_rules(&first).unwrap().as_deref(), Some("rule = \"all\"\n"));
    assert_eq!(file.metadata("espalier.program_version"), Some("0.1.0"));
    assert_eq!(file.metadata("espalier.pairs"), Some("50"));
    let batch = file.batches().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.schema().fields(), pairs_schema().fields());
}

#[test]
fn pairs_that_another_program_rewrote_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part-00000.parquet");
    let pairs = &some_pairs()[..50];
    let batch = batch_of(pairs).unwrap();
    // Its own order of columns, one more of them, its own types, no metadata.
    let mut columns: Vec<(String, ArrayRef, bool)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let other = match field.data_type() {
                DataType::Utf8 | DataType::Dictionary(..) => DataType::LargeUtf8,
                DataType::Float32 => DataType::Float64,
                DataType::UInt16 | DataType::UInt32 => DataType::Int64,
                list => list.clone(),
            };
            (field.name().clone(), arrow::compute::cast(column, &other).unwrap(), true)
        })
        .collect();
    columns.reverse();
    columns.push(("note".into(), Arc::new(StringArray::from_iter_values((0..50).map(|_| "kept"))), true));
    foreign(&path, &RecordBatch::try_from_iter_with_nullable(columns).unwrap());
    assert!(read_pairs(&path).unwrap() == pairs);
}

#[test]
fn files_that_hold_no_pairs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| read_pairs(path).unwrap_err().to_string();
    assert!(message(folder.path()).starts_with("no part-*.parquet in "));
    let path = folder.path().join("part-00000.parquet");
    let pairs = &some_pairs()[..4];

    let whole = fs::read(written(folder.path(), "part-00000.parquet", pairs)).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(message(&path).contains("part-00000.parquet is cut short"), "{}", message(&path));

    let mut batch = batch_of(pairs).unwrap();
    batch.remove_column(0);
    foreign(&path, &batch);
    assert!(message(&path).contains("column prompt of "), "{}", message(&path));

    let mut short = pairs.to_vec();
    short[2].chosen_logprobs.pop();
    foreign(&path, &batch_of(&short).unwrap());
    assert!(message(&path).starts_with("row 2 of "), "{}", message(&path));
    assert!(message(&path).ends_with("tokens and log-probabilities differ in number"), "{}", message(&path));

    let mut rootless = pairs.to_vec();
    rootless[1].kind = Kind::Root;
    foreign(&path, &batch_of(&rootless).unwrap());
    assert!(message(&path).ends_with("\"root\" is no kind of a step"), "{}", message(&path));

    let version = [(FORMAT_VERSION_KEY, "7".to_owned())];
    RowSink::create(&path, pairs_schema(), &version, encodings).unwrap().publish().unwrap();
    assert!(message(&path).ends_with("has format version 7, but this program reads version 1"));
}
