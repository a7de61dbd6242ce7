//! Rows of texts as tokens, as TRL's `DPOTrainer` makes them: the prompt and prompt + step are encoded, and the step's
//! tokens are what follows the prompt's. A row where the prompt's tokens do not begin those of prompt + step is left out
//! (TRL trains on it from where they part). The tokenizer's end-of-text token is appended to a step that lacks it, and what
//! the tokenizer puts before each text stands before the prompt, as it does in a search.

use super::Reading;
use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type};
use espalier_files::{input_lines, read_input_text, without_mark};
use espalier_table::{TableBytes, batches, open_table, rows_at_a_time};
use espalier_tokenizer::Tokenizer;
use espalier_trainer::PreferencePair;
use espalier_tree::Loaded;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use serde_json::{Map, Value};
use std::path::Path;

/// Rows that are read at a time, where they are of usual sizes.
const BATCH_ROWS: usize = 1024;
/// The columns that a row of texts may have beside prompt, chosen and rejected.
const NUMBERS: [&str; 5] = ["weight", "q_chosen", "q_rejected", "visits_chosen", "visits_rejected"];
const TEXTS: [&str; 4] = ["prompt", STEPS_SO_FAR, "chosen", "rejected"];
/// The steps between prompt and pair, in the data that Step-DPO's authors published.
const STEPS_SO_FAR: &str = "initial_reason_steps";
/// Columns of other tables that change what a prompt says, and are not read.
const UNREAD: [&str; 4] = ["system", "tools", "images", "documents"];

/// One object a line, blank lines being no rows, or an array of objects.
pub(super) fn json_rows(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text = read_input_text(path)?;
    let text = without_mark(&text);
    if text.trim_start().starts_with('[') {
        return Ok(serde_json::from_str(text)?);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("line {} is no JSON object", number + 1))
        })
        .collect()
}

/// Whether the first object of a file of lines has this field.
pub(super) fn first_row_has(path: &Path, field: &str) -> Result<bool> {
    for line in input_lines(path)? {
        let line = line?;
        let line = without_mark(&line);
        if !line.trim().is_empty() {
            return Ok(serde_json::from_str::<Map<String, Value>>(line).is_ok_and(|row| row.contains_key(field)));
        }
    }
    Ok(false)
}

/// Whether a Parquet file is one of `mcts-gen`.
pub(super) fn has_tokens(path: &Path) -> Result<bool> {
    Ok(open_table(path)?.schema().column_with_name("prompt_ids").is_some())
}

/// The rows of a Parquet file of texts.
pub(super) fn parquet_rows(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let builder = open_table(path)?;
    let parts = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let batch_rows = rows_at_a_time(parts.map(ColumnChunkMetaData::uncompressed_size), BATCH_ROWS)?;
    let (mut rows, mut bytes) = (Vec::new(), TableBytes::default());
    for batch in batches(builder.with_batch_size(batch_rows))? {
        let batch = batch?;
        bytes.add(batch.get_array_memory_size())?;
        let columns = columns(&batch)?;
        rows.extend((0..batch.num_rows()).map(|row| {
            columns.iter().map(|(name, column)| ((*name).to_owned(), cell(column, row))).collect::<Map<_, _>>()
        }));
    }
    Ok(rows)
}

/// The known columns of a batch, texts as text and numbers as float32.
fn columns(batch: &RecordBatch) -> Result<Vec<(&'static str, ArrayRef)>> {
    let mut columns = Vec::new();
    let unread =
        UNREAD.iter().find(|name| batch.column_by_name(name).is_some_and(|column| column.null_count() < column.len()));
    if let Some(name) = unread {
        bail!("column {name} is not read; write it into the prompt, or take it out");
    }
    for (names, kind) in [(&TEXTS[..], DataType::Utf8), (&NUMBERS[..], DataType::Float32)] {
        for name in names {
            let Some(column) = batch.column_by_name(name) else { continue };
            if column.data_type().is_nested() {
                bail!("column {name} is {}: {CHAT}", column.data_type());
            }
            columns.push((*name, cast(column, &kind).with_context(|| format!("column {name}"))?));
        }
    }
    Ok(columns)
}

const CHAT: &str = "chat messages are not read; write them out with the policy's chat template first";

fn cell(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        _ => column.as_primitive::<Float32Type>().value(row).into(),
    }
}

/// Rows of texts as pairs, those of one prompt a family; rows that cannot be pairs are named.
pub(super) fn encode_all(
    rows: Vec<Map<String, Value>>,
    tokenizer: &Tokenizer,
    reading: Reading,
) -> Loaded<PreferencePair> {
    let mut loaded = Loaded::default();
    for (row, fields) in rows.into_iter().enumerate() {
        let family = |_: &PreferencePair| fields["prompt"].as_str().unwrap_or_default().to_owned();
        let pair = encode(&fields, tokenizer, reading.append_eos);
        loaded.push(row, family, pair);
    }
    loaded
}

/// The pair that a row of texts makes, or why it makes none.
fn encode(fields: &Map<String, Value>, tokenizer: &Tokenizer, append_eos: bool) -> Result<PreferencePair, String> {
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(Value::Array(_)) => Err(format!("its {name} is a list: {CHAT}")),
        Some(Value::Null) | None => Err(format!("it has no {name}")),
        Some(_) => Err(format!("its {name} is no text")),
    };
    let number = |name: &str, absent: f32| match fields.get(name) {
        None | Some(Value::Null) => Ok(absent),
        Some(value) => {
            value.as_f64().map(|number| number as f32).ok_or_else(|| format!("its {name} is {value}, no number"))
        }
    };
    let ids = |text: &str| tokenizer.encode_prompt(text).map_err(|error| error.to_string());
    let is_said = |value: &Value| !matches!(value, Value::Null) && *value != Value::String(String::new());
    if let Some(name) = UNREAD.iter().find(|name| fields.get(**name).is_some_and(is_said)) {
        return Err(format!("its {name} is not read; write it into the prompt, or take it out"));
    }
    let weight = number("weight", 1.0)?;
    if weight.is_nan() || weight < 0.0 {
        return Err(format!(
            "its weight is {weight}, but must be at least 0: less would train towards the rejected step"
        ));
    }
    let so_far = match fields.get(STEPS_SO_FAR) {
        None | Some(Value::Null) => "",
        Some(_) => text(STEPS_SO_FAR)?,
    };
    let prompt = &format!("{}{so_far}", text("prompt")?);
    let prompt_ids = ids(prompt)?;
    let step = |name: &str| {
        let text = text(name)?;
        let whole = ids(&format!("{prompt}{text}"))?;
        let Some(own) = whole.strip_prefix(prompt_ids.as_slice()) else {
            return Err(format!(
                "the tokens of its prompt are not the first ones of prompt + {name}; end the prompt where a token ends"
            ));
        };
        let mut own = own.to_vec();
        if let Some(end) = tokenizer.eos_id().filter(|_| append_eos)
            && own.last().is_some_and(|&last| last != end)
        {
            own.push(end);
        }
        Ok(own)
    };
    Ok(PreferencePair {
        chosen_ids: step("chosen")?,
        rejected_ids: step("rejected")?,
        prompt_ids: prompt_ids.clone(),
        q_chosen: number("q_chosen", 0.0)?,
        q_rejected: number("q_rejected", 0.0)?,
        visits_chosen: number("visits_chosen", 1.0)? as u32,
        visits_rejected: number("visits_rejected", 1.0)? as u32,
        weight,
        q_scale: 1.0,
        reference: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use parquet::arrow::ArrowWriter;
    use serde_json::json;
    use std::fs::{self, File};
    use std::sync::Arc;

    fn read(row: &Value) -> Result<PreferencePair, String> {
        let tokenizer = Tokenizer::train_bpe(["What?"], 300, &["<s>"]).unwrap();
        encode(row.as_object().unwrap(), &tokenizer, false)
    }

    fn row(more: &Value) -> Value {
        let mut row = json!({ "prompt": "What? ", "chosen": "Yes", "rejected": "No" });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    #[test]
    fn nulls_are_absent_and_negative_weights_are_refused() {
        let pair = read(&row(&json!({ "weight": null, "q_chosen": null, "system": null, "tools": "" }))).unwrap();
        assert_eq!((pair.weight, pair.q_chosen, pair.visits_chosen), (1.0, 0.0, 1));
        assert!(read(&row(&json!({ "weight": -1 }))).unwrap_err().contains("its weight is -1, but must be at least 0"));
        assert_eq!(read(&row(&json!({ "weight": 0 }))).unwrap().weight, 0.0);
    }

    #[test]
    fn what_stands_between_prompt_and_pair_is_read_or_refused() {
        let plain = read(&row(&json!({}))).unwrap();
        let pair = read(&row(&json!({ "initial_reason_steps": "1. Add. " }))).unwrap();
        assert!(pair.prompt_ids.len() > plain.prompt_ids.len() && pair.prompt_ids.starts_with(&plain.prompt_ids));
        assert_eq!(pair.chosen_ids, plain.chosen_ids);
        assert!(read(&row(&json!({ "system": "Be brief." }))).unwrap_err().contains("its system is not read"));
    }

    #[test]
    fn arrays_and_byte_order_marks_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.json");
        let (one, two) = (row(&json!({})), row(&json!({ "weight": 2 })));
        for text in
            [format!("[{one},\n {two}]"), format!("\u{feff}{one}\n\n{two}\n"), format!("\u{feff}[{one}, {two}]")]
        {
            espalier_files::publish_bytes(&path, text.as_bytes()).unwrap();
            let rows = json_rows(&path).unwrap();
            assert_eq!((rows.len(), &rows[1]["weight"]), (2, &json!(2)), "{text}");
            assert!(text.contains('[') || first_row_has(&path, "prompt").unwrap());
        }
    }

    #[test]
    fn a_footer_with_one_wrong_byte_is_an_error_or_a_table_and_never_a_panic() {
        let columns = TEXTS.map(|name| (name, Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.parquet");
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let bytes = fs::read(&path).unwrap();
        let footer = bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
        let mut refused = 0;
        for place in (footer..bytes.len() - 8).step_by(3) {
            for value in [0, bytes[place] ^ 1] {
                let mut damaged = bytes.clone();
                damaged[place] = value;
                fs::write(&path, damaged).unwrap();
                refused += usize::from(parquet_rows(&path).is_err());
            }
        }
        // The library itself panics where a part of a column would begin before the file, or divides by a length of 0.
        assert!(refused > 100, "{refused}");
    }
}
