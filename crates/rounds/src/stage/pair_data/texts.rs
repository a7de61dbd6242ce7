//! Rows of texts as tokens, as TRL's `DPOTrainer` makes them: the prompt and prompt + step are encoded, and the step's
//! tokens are what follows the prompt's. A row where the prompt's tokens do not begin those of prompt + step is left out
//! (TRL trains on it from where they part). The tokenizer's end-of-text token is appended to a step that lacks it, and what
//! the tokenizer puts before each text stands before the prompt, as it does in a search.

use super::Reading;
use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type};
use arrow::error::ArrowError;
use espalier_files::{TableBytes, caught, check_pages, input_lines, open_parquet, read_input_text, rows_at_a_time};
use espalier_tokenizer::Tokenizer;
use espalier_trainer::PreferencePair;
use espalier_tree::Loaded;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use serde_json::{Map, Value};
use std::fs::File;
use std::path::Path;

/// Rows that are read at a time, where they are of usual sizes.
const BATCH_ROWS: usize = 1024;
/// The columns that a row of texts may have beside prompt, chosen and rejected.
const NUMBERS: [&str; 5] = ["weight", "q_chosen", "q_rejected", "visits_chosen", "visits_rejected"];
const TEXTS: [&str; 3] = ["prompt", "chosen", "rejected"];

/// One object a line; blank lines are no rows.
pub(super) fn json_rows(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text = read_input_text(path)?;
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
        if !line.trim().is_empty() {
            return Ok(serde_json::from_str::<Map<String, Value>>(&line).is_ok_and(|row| row.contains_key(field)));
        }
    }
    Ok(false)
}

/// Whether a Parquet file is one of `mcts-gen`.
pub(super) fn has_tokens(path: &Path) -> Result<bool> {
    Ok(opened(path)?.schema().column_with_name("prompt_ids").is_some())
}

/// The rows of a Parquet file of texts.
pub(super) fn parquet_rows(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let builder = opened(path)?;
    let parts = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let batch_rows = rows_at_a_time(parts.map(ColumnChunkMetaData::uncompressed_size), BATCH_ROWS)?;
    let (mut rows, mut bytes) = (Vec::new(), TableBytes::default());
    let mut batches =
        caught(|| builder.with_batch_size(batch_rows).build()).map_err(ParquetError::General).flatten()?;
    let mut next = || caught(|| batches.next().transpose()).map_err(ArrowError::ParquetError).flatten();
    while let Some(batch) = next()? {
        bytes.add(batch.get_array_memory_size())?;
        let columns = columns(&batch)?;
        rows.extend((0..batch.num_rows()).map(|row| {
            columns.iter().map(|(name, column)| ((*name).to_owned(), cell(column, row))).collect::<Map<_, _>>()
        }));
    }
    Ok(rows)
}

/// A Parquet file whose footer was read.
fn opened(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = open_parquet(path)?;
    let builder = caught(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone()?)?;
        let parts = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
        check_pages(&file, parts.map(ColumnChunkMetaData::byte_range))?;
        Ok(builder)
    });
    Ok(builder.map_err(ParquetError::General).flatten()?)
}

/// The known columns of a batch, texts as text and numbers as float32.
fn columns(batch: &RecordBatch) -> Result<Vec<(&'static str, ArrayRef)>> {
    let mut columns = Vec::new();
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
        None => Ok(absent),
        Some(value) => {
            value.as_f64().map(|number| number as f32).ok_or_else(|| format!("its {name} is {value}, no number"))
        }
    };
    let ids = |text: &str| tokenizer.encode_prompt(text).map_err(|error| error.to_string());
    let prompt = text("prompt")?;
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
        weight: number("weight", 1.0)?,
        q_scale: 1.0,
        reference: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use parquet::arrow::ArrowWriter;
    use std::fs;
    use std::sync::Arc;

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
