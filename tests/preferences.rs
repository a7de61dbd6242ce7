//! `step-train prefer` and `compare` on pairs from elsewhere, and the ways to train with less memory.

use crate::tiny::{finished, shared, step_train, succeed, text};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use assert_cmd::Command;
use espalier_tokenizer::Tokenizer;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pairs of texts that begin and end where tokens do.
pub fn pairs() -> Vec<Value> {
    let pair = |i: usize| {
        json!({
            "prompt": format!("<question>Tom has {i} apples and buys {i} more.</question><plan>"),
            "chosen": format!("<step>Plan 1: Add: A = {i} + {i}</step>"),
            "rejected": "<step>Plan 1: Subtract: A = 1 - 1</step>",
        })
    };
    (1..9).map(pair).collect()
}

pub fn write(path: &Path, rows: &[Value]) -> PathBuf {
    fs::write(path, rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
    path.to_owned()
}

fn prefer(pairs: &Path, out: &Path, flags: &[&str]) -> Command {
    let mut command = step_train();
    command.args(["prefer", "--epochs", "2", "--learning-rate", "1e-3", "--batch-size", "4", "--threads", "1"]);
    command.args(flags).arg("--policy").arg(shared().1.join("policy-000")).arg("--pairs").arg(pairs);
    command.arg("--out").arg(out);
    command
}

fn metrics(out: &Path) -> Vec<Value> {
    let path = out.with_file_name(format!("{}-train", out.file_name().unwrap().to_str().unwrap()));
    let text = fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn losses(out: &Path) -> Vec<f64> {
    metrics(out).iter().filter_map(|line| line["loss"].as_f64()).collect()
}

#[test]
fn texts_alone_are_enough_in_lines_and_in_parquet() {
    let root = tempfile::tempdir().unwrap();
    let lines = write(&root.path().join("pairs.jsonl"), &pairs());
    let out = root.path().join("lines");
    succeed(&mut prefer(&lines, &out, &["--loss", "dpo"]));
    let expected = losses(&out);
    assert_eq!(expected.len(), 4, "8 pairs, 2 epochs of batches of 4");
    assert!((expected[0] - std::f64::consts::LN_2).abs() < 1e-5 && expected[3] < expected[0], "{expected:?}");

    let parquet = root.path().join("pairs.parquet");
    let column = |name: &str| -> (String, ArrayRef) {
        let rows = pairs();
        let texts = rows.iter().map(|row| row[name].as_str().unwrap());
        (name.to_owned(), Arc::new(StringArray::from_iter_values(texts)))
    };
    let batch = RecordBatch::try_from_iter(["prompt", "chosen", "rejected"].map(column)).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&parquet).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let out = root.path().join("parquet");
    succeed(&mut prefer(&parquet, &out, &["--loss", "dpo"]));
    assert_eq!(losses(&out), expected);

    // The text's end carries a loss too, unless it is not wanted.
    let out = root.path().join("open");
    succeed(&mut prefer(&lines, &out, &["--loss", "dpo", "--append-eos", "false"]));
    let tokens = |out: &Path| metrics(out)[0]["logps/chosen"].as_f64().unwrap();
    assert!(tokens(&out) > tokens(&root.path().join("lines")) + 1.0, "one token less");
}

/// As Hugging Face lays data sets out, in files that are packed or not; and what is read decides whether it is done.
#[test]
fn a_folder_of_texts_is_its_files_one_after_the_other() {
    let root = tempfile::tempdir().unwrap();
    let lines = write(&root.path().join("pairs.jsonl"), &pairs());
    let whole = root.path().join("whole");
    succeed(&mut prefer(&lines, &whole, &["--loss", "dpo"]));
    let folder = root.path().join("folder");
    fs::create_dir(&folder).unwrap();
    write(&folder.join("train-00001-of-00002.jsonl"), &pairs()[3..]);
    write(&folder.join("test-00000-of-00001.jsonl"), &pairs()[..1]);
    let first = pairs()[..3].iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let packed = fs::File::create(folder.join("train-00000-of-00002.jsonl.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, first.as_bytes()).unwrap();
    packed.finish().unwrap();
    let out = root.path().join("out");
    succeed(&mut prefer(&folder, &out, &["--loss", "dpo"]));
    assert_eq!(losses(&out), losses(&whole));

    let again = prefer(&folder, &out, &["--loss", "dpo"]).output().unwrap();
    assert!(again.status.success(), "{}", text(&again.stderr));
    write(&folder.join("train-00001-of-00002.jsonl"), &pairs()[4..]);
    let other = prefer(&folder, &out, &["--loss", "dpo"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("its pairs had another content"), "{}", text(&other.stderr));
}

#[test]
fn rows_that_cannot_be_used_are_counted_and_named() {
    let root = tempfile::tempdir().unwrap();
    let tokenizer = Tokenizer::load(&shared().1.join("policy-000")).unwrap();
    // A prompt that ends within a token.
    let whole = "Tom buys apples";
    let long =
        tokenizer.encode(whole).unwrap().iter().map(|&id| tokenizer.decode(&[id])).max_by_key(String::len).unwrap();
    let cut = whole.find(&long).unwrap() + long.len() - 1;
    let mut rows = pairs();
    rows.insert(1, json!({ "prompt": whole[..cut], "chosen": whole[cut..], "rejected": "!" }));
    rows.insert(
        3,
        json!({ "prompt": "What?", "chosen": [{ "role": "assistant", "content": "This." }], "rejected": "" }),
    );
    rows.insert(5, json!({ "prompt": "What?", "chosen": "This.", "rejected": "" }));
    rows.insert(7, json!({ "prompt": "What?", "chosen": "This." }));
    let path = write(&root.path().join("pairs.jsonl"), &rows);
    let out = root.path().join("out");
    let output = prefer(&path, &out, &["--loss", "dpo"]).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for words in [
        "row 1, counted from 0: the tokens of its prompt are not the first ones of prompt + chosen",
        "row 3, counted from 0: its chosen is a list: chat messages are not read",
        "row 5, counted from 0: it has no token to learn",
        "row 7, counted from 0: it has no rejected",
        "4 rows skipped",
    ] {
        assert!(message.contains(words), "{words:?} is not in {message}");
    }
    assert_eq!(losses(&out).len(), 4);

    let none = write(&root.path().join("none.jsonl"), &[json!({ "question": "What?" })]);
    let output = prefer(&none, &root.path().join("nothing"), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("1 rows skipped, row 0 because it has no prompt"),
        "{}",
        text(&output.stderr)
    );
    assert!(!root.path().join("nothing").exists());
}

#[test]
fn weights_scale_the_loss() {
    let root = tempfile::tempdir().unwrap();
    let mut rows = pairs();
    rows.iter_mut().for_each(|row| row["weight"] = json!(0.5));
    let path = write(&root.path().join("pairs.jsonl"), &rows);
    let out = root.path().join("out");
    succeed(&mut prefer(&path, &out, &["--loss", "dpo"]));
    assert!((losses(&out)[0] - 0.5 * std::f64::consts::LN_2).abs() < 1e-5);
}

#[test]
fn adapters_lie_beside_the_policy_that_they_are_merged_into() {
    let root = tempfile::tempdir().unwrap();
    let path = write(&root.path().join("pairs.jsonl"), &pairs());
    let out = root.path().join("out");
    let flags =
        ["--lora-rank", "4", "--lora-alpha", "8", "--lora-targets", "q_proj,v_proj", "--gradient-checkpointing"];
    succeed(&mut prefer(&path, &out, &flags));
    let config: Value = serde_json::from_slice(&fs::read(out.join("adapter/adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&config["r"], &config["target_modules"]), (&json!(4), &json!(["q_proj", "v_proj"])));
    assert_eq!(config["base_model_name_or_path"], shared().1.join("policy-000").to_str().unwrap());
    assert!(out.join("adapter/adapter_model.safetensors").is_file() && out.join("model.safetensors").is_file());
    let bytes = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert_ne!(bytes(&out), bytes(&shared().1.join("policy-000")));

    // No adapter of an earlier training beside a policy that was trained without one.
    fs::remove_dir_all(&out).unwrap();
    succeed(&mut prefer(&path, &out, &["--overwrite"]));
    assert!(out.join("model.safetensors").is_file() && !out.join("adapter").exists());
}

#[test]
fn half_precision_and_early_stopping_are_flags() {
    let root = tempfile::tempdir().unwrap();
    let path = write(&root.path().join("pairs.jsonl"), &pairs());
    let out = root.path().join("out");
    let flags = ["--precision", "bfloat16", "--held-out-fraction", "0.4", "--eval-every", "1", "--patience", "50"];
    succeed(&mut prefer(&path, &out, &flags));
    let config: Value = serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    let kind = config.get("dtype").or(config.get("torch_dtype"));
    assert_eq!(kind, Some(&json!("float32")), "the masters are saved");
    let looks = metrics(&out).into_iter().filter(|line| line["eval/kl"].is_number()).count();
    assert!(looks >= 3, "before the first step and after each: {looks}");
}

#[test]
fn objectives_are_compared_on_the_pairs_of_a_run() {
    let root = tempfile::tempdir().unwrap();
    let run = finished();
    let pairs = root.path().join("pairs");
    let mut select = crate::tiny::mcts_gen();
    select.args(["pairs", "--rule", "all", "--trees"]).arg(run.join("round-001/trees")).arg("--out").arg(&pairs);
    succeed(&mut select);
    let out = root.path().join("compared");
    let mut command = step_train();
    command.args([
        "compare",
        "--losses",
        "step_apo,simpo,plackett_luce",
        "--held-out-fraction",
        "0.4",
        "--epochs",
        "3",
    ]);
    command.args(["--learning-rate", "1e-3", "--threads", "1", "--policy"]).arg(run.join("policy-001"));
    command.arg("--pairs").arg(&pairs).arg("--out").arg(&out);
    let table = text(&succeed(&mut command).stdout);
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `") && line.contains('→')).collect();
    assert_eq!(rows.len(), 3, "{table}");
    for (row, name) in rows.iter().zip(["step_apo", "simpo", "plackett_luce"]) {
        assert!(row.starts_with(&format!("| `{name}` |")), "{table}");
        let number = |text: &str| text.trim().parse::<f64>().unwrap();
        let (first, last) = row.split('|').nth(2).unwrap().split_once('→').unwrap();
        assert!(number(last) < number(first), "the loss of {name} falls: {table}");
    }
    assert_eq!(fs::read_to_string(out.join("table.md")).unwrap(), table);
}

#[test]
fn ranked_lists_train_as_the_pairs_of_their_neighbours() {
    let root = tempfile::tempdir().unwrap();
    let pairs = root.path().join("pairs");
    let mut select = crate::tiny::mcts_gen();
    select.args(["pairs", "--rule", "ranked", "--export", "ranked-lists", "--trees"]);
    succeed(select.arg(finished().join("round-001/trees")).arg("--out").arg(&pairs));
    let train = |pairs: &Path, name: &str| {
        let out = root.path().join(name);
        succeed(&mut prefer(pairs, &out, &["--loss", "plackett_luce"]));
        losses(&out)
    };
    let [by_pairs, by_lists] = [train(&pairs, "by_pairs"), train(&pairs.join("ranked_lists.jsonl"), "by_lists")];
    assert!(by_lists.len() >= 2 && by_lists[0] > 0.1, "{by_lists:?}");
    assert_eq!(by_lists, by_pairs);
}

/// One pair a step, at a learning rate that changes nothing: what the policy says of each step's chosen text shows whose turn
/// it was.
#[test]
fn a_curriculum_reaches_the_optimiser_unless_another_order_is_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let run = finished();
    let select = |name: &str, flags: &[&str]| {
        let out = root.path().join(name);
        let mut select = crate::tiny::mcts_gen();
        select.args(["pairs", "--rule", "all", "--trees"]).arg(run.join("round-001/trees")).arg("--out").arg(&out);
        succeed(select.args(flags));
        out
    };
    let plain = select("plain", &[]);
    let arranged = select("arranged", &["--curriculum", "margin"]);
    let trained = |pairs: &Path, name: &str, flags: &[&str]| -> Vec<f64> {
        let out = root.path().join(name);
        let mut command = step_train();
        command.args(["prefer", "--epochs", "1", "--batch-size", "1", "--learning-rate", "1e-30", "--threads", "1"]);
        command
            .args(flags)
            .arg("--policy")
            .arg(run.join("policy-001"))
            .arg("--pairs")
            .arg(pairs)
            .arg("--out")
            .arg(&out);
        succeed(&mut command);
        metrics(&out).iter().map(|line| line["logps/chosen"].as_f64().unwrap()).collect()
    };
    let stored = |pairs: &Path| -> Vec<f64> {
        let sum = |logprobs: &[f32]| logprobs.iter().map(|&logprob| f64::from(logprob)).sum();
        espalier_tree::read_pairs(pairs).unwrap().iter().map(|pair| sum(&pair.chosen_logprobs)).collect()
    };
    let is_as = |found: &[f64], expected: &[f64]| {
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-2)
    };
    let (given, margins) = (stored(&plain), stored(&arranged));
    assert!(given.len() > 4 && !is_as(&given, &margins), "the curriculum changes the order of {} pairs", given.len());
    assert!(is_as(&trained(&arranged, "a", &[]), &margins), "the largest margin first");
    let shuffled = trained(&arranged, "b", &["--order", "shuffled"]);
    assert!(!is_as(&shuffled, &margins), "{shuffled:?}");
    assert!(!is_as(&trained(&plain, "c", &[]), &given), "without a curriculum they are shuffled");
    assert!(is_as(&trained(&plain, "d", &["--order", "as_given"]), &given));
}
