//! Reading problem sets in the formats that people have them in.

mod dataset;
mod json;
mod layout;
mod notices;
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
use notices::Notices;
use row::Row;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

/// How a file of problems is read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Rows from its start; all if left out.
    pub limit: Option<usize>,
    /// Columns that fill a task's slots.
    pub slots: Vec<String>,
    /// Whether a problem may have no reference answer; it is empty then.
    pub without_answer: bool,
}

/// What a file of problems holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The problems.
    pub problems: Vec<Problem>,
    /// What was not used and what was assumed, a line each.
    pub notices: Vec<String>,
}

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
    Ok(load_problems_as(path, &Reading { limit, ..Reading::default() })?.problems)
}

/// As [`load_problems`], by what `reading` says, with what a person should know of the file.
///
/// # Errors
/// As [`load_problems`].
pub fn load_problems_as(path: &Path, reading: &Reading) -> Result<Loaded, TaskError> {
    let limit = reading.limit.unwrap_or(usize::MAX);
    let (rows, unread) = rows(path, limit, &reading.slots)?;
    let named = name_inside(path);
    let stem = named.file_stem().unwrap_or_default().to_string_lossy();
    let mut notices = Notices::default();
    notices.unread(unread);
    let mut problems = Vec::with_capacity(rows.len());
    for row in rows {
        let failed = |reason| TaskError::Row { path: path.to_owned(), place: row.place(), reason };
        let problem = row.problem(&stem, reading).map_err(failed)?;
        notices.add(&row, &problem, &reading.slots);
        problems.push(problem);
    }
    let problems = checked(path, problems, limit)?;
    let line = |line: String| format!("{}: {line}", path.display());
    Ok(Loaded { problems, notices: notices.lines().into_iter().map(line).collect() })
}

/// The rows of a file in any of the formats, with the columns that a problem can have and `more`; and the names of columns
/// that were not read at all.
fn rows(path: &Path, limit: usize, more: &[String]) -> Result<(Vec<Row>, Vec<String>), TaskError> {
    let named = name_inside(path);
    let extension = named.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let all_read = |rows| (rows, Vec::new());
    match extension.as_str() {
        "jsonl" | "ndjson" => json::read_lines(path, limit).map(all_read),
        "json" => json::read_array(path, limit).map(all_read),
        "parquet" if named == path => parquet::read(path, limit, more),
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
