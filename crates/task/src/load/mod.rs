//! Reading problem sets in the formats that people have them in.

mod dataset;
mod json;
mod layout;
mod parquet;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod worked;

pub use dataset::{Dataset, load_dataset};
pub(crate) use worked::read_worked;

use crate::error::TaskError;
use crate::problem::Problem;
use espalier_files::name_inside;
use row::Row;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

/// Reads the problems of a JSONL, JSON (an array of objects), or Parquet file, at most `limit` of them from its start.
///
/// Field names are found by themselves: the question is in `question`, `input`, `problem`, or `prompt`; the answer in
/// `answer`, `target`, or `final_answer` (the first of each that a row has), or in the box of `solution`. Of an answer
/// with its working, as GSM8K has it (`... #### 18`), only what follows the mark is kept; numbers lose an empty fraction
/// (`26.0` becomes `26`). `family`, `difficulty`, and `solution` are taken over where they are there and of the right type.
///
/// Ids: the row's `id` if it is a string; else `{stem}-{n}` where `stem` is the file's name without its extension and
/// `n` the row's number `id` or its `index`; else `{stem}-{row:06}`, `row` being the line or row, counted from 1.
///
/// # Errors
/// Any [`TaskError`] about files: unreadable, unknown extension, broken, lacking a field, with an id twice, or empty.
pub fn load_problems(path: &Path, limit: Option<usize>) -> Result<Vec<Problem>, TaskError> {
    let limit = limit.unwrap_or(usize::MAX);
    let rows = rows(path, limit)?;
    let named = name_inside(path);
    let stem = named.file_stem().unwrap_or_default().to_string_lossy();
    let problems = rows
        .into_iter()
        .map(|row| {
            let failed = |reason| TaskError::Row { path: path.to_owned(), place: row.place(), reason };
            row.problem(&stem).map_err(failed)
        })
        .collect::<Result<Vec<_>, _>>()?;
    checked(path, problems, limit)
}

/// The rows of a file in any of the formats.
fn rows(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    let named = name_inside(path);
    let extension = named.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match extension.as_str() {
        "jsonl" | "ndjson" => json::read_lines(path, limit),
        "json" => json::read_array(path, limit),
        "parquet" if named == path => parquet::read(path, limit),
        _ => Err(TaskError::Extension { path: path.to_owned(), extension }),
    }
}

/// Problems that are there and have ids of their own.
fn checked(path: &Path, problems: Vec<Problem>, limit: usize) -> Result<Vec<Problem>, TaskError> {
    let mut ids = HashSet::new();
    if let Some(twice) = problems.iter().find(|problem| !ids.insert(problem.id.as_str())) {
        return Err(TaskError::DuplicateId { path: path.to_owned(), id: twice.id.clone() });
    }
    if problems.is_empty() && limit > 0 {
        return Err(TaskError::Empty { path: path.to_owned() });
    }
    Ok(problems)
}

/// A row from its parsed value, which must be an object.
fn row(path: &Path, unit: &'static str, number: usize, value: Value) -> Result<Row, TaskError> {
    match value {
        Value::Object(fields) => Ok(Row { unit, number, fields }),
        other => Err(TaskError::Row {
            path: path.to_owned(),
            place: format!("{unit} {number}"),
            reason: format!("{} where an object with a question and an answer should be", row::type_name(&other)),
        }),
    }
}
