//! JSON lines and JSON arrays.

use super::row::Row;
use crate::error::TaskError;
use espalier_files::read_input_text;
use serde_json::Value;
use std::path::Path;

fn read_text(path: &Path) -> Result<String, TaskError> {
    let text = read_input_text(path).map_err(|source| TaskError::Read { path: path.to_owned(), source })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(without_mark) => without_mark.to_owned(),
        None => text,
    })
}

/// One object per line; blank lines are skipped. Nothing after the `limit`-th problem is looked at.
pub(super) fn read_lines(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    rows_of_lines(path, &read_text(path)?, limit)
}

fn rows_of_lines(path: &Path, text: &str, limit: usize) -> Result<Vec<Row>, TaskError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .take(limit)
        .map(|(index, line)| {
            let value = serde_json::from_str(line).map_err(|error| broken(path, index + 1, &error))?;
            super::row(path, "line", index + 1, value)
        })
        .collect()
}

/// An array of objects. A file that is named `.json` but holds lines of objects is read as such.
pub(super) fn read_array(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    let text = read_text(path)?;
    if text.trim_start().starts_with('{') {
        return rows_of_lines(path, &text, limit);
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Value> = serde_json::from_str(&text).map_err(|error| broken(path, error.line(), &error))?;
    let rows = values.into_iter().take(limit).enumerate();
    rows.map(|(index, value)| super::row(path, "row", index + 1, value)).collect()
}

/// Lines or an array, whichever the file holds.
pub(super) fn read_any(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    if read_text(path)?.trim_start().starts_with('[') { read_array(path, limit) } else { read_lines(path, limit) }
}

/// The one object that the whole file is, or the array of them.
pub(super) fn read_value(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    let value = serde_json::from_str(&read_text(path)?).map_err(|error| broken(path, error.line(), &error))?;
    let values = match value {
        Value::Array(values) => values,
        one => vec![one],
    };
    let rows = values.into_iter().take(limit).enumerate();
    rows.map(|(index, value)| super::row(path, "row", index + 1, value)).collect()
}

fn broken(path: &Path, line: usize, error: &serde_json::Error) -> TaskError {
    // The parser counts lines within what it was given; a line of JSONL is always its first.
    let reason = error.to_string();
    let reason = reason.split_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
    TaskError::Json { path: path.to_owned(), line, reason: format!("{reason} at column {}", error.column()) }
}
