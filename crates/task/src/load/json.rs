//! JSON lines and JSON arrays.

use super::row::Row;
use crate::error::TaskError;
use espalier_files::{read_input_text, without_mark};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

fn read_text(path: &Path) -> Result<String, TaskError> {
    read_input_text(path).map_err(|source| TaskError::Read { path: path.to_owned(), source })
}

/// One object per line; blank lines are skipped. Nothing after the `limit`-th problem is looked at.
pub(super) fn read_lines(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    rows_of_lines(path, without_mark(&read_text(path)?), limit)
}

fn rows_of_lines(path: &Path, text: &str, limit: usize) -> Result<Vec<Row>, TaskError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .take(limit)
        .map(|(index, line)| {
            let value =
                serde_json::from_str(&with_all_digits(line)).map_err(|error| broken(path, index + 1, &error))?;
            super::row(path, "line", index + 1, value)
        })
        .collect()
}

/// An array of objects. A file that is named `.json` but holds lines of objects is read as such.
pub(super) fn read_array(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    let text = read_text(path)?;
    let text = without_mark(&text);
    if text.trim_start().starts_with('{') {
        return rows_of_lines(path, text, limit);
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Value> =
        serde_json::from_str(&with_all_digits(text)).map_err(|error| broken(path, error.line(), &error))?;
    let rows = values.into_iter().take(limit).enumerate();
    rows.map(|(index, value)| super::row(path, "row", index + 1, value)).collect()
}

/// Lines or an array, whichever the file holds.
pub(super) fn read_any(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    if without_mark(&read_text(path)?).trim_start().starts_with('[') {
        read_array(path, limit)
    } else {
        read_lines(path, limit)
    }
}

/// The one object that the whole file is, or the array of them.
pub(super) fn read_value(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    let value =
        serde_json::from_str(without_mark(&read_text(path)?)).map_err(|error| broken(path, error.line(), &error))?;
    let values = match value {
        Value::Array(values) => values,
        one => vec![one],
    };
    let rows = values.into_iter().take(limit).enumerate();
    rows.map(|(index, value)| super::row(path, "row", index + 1, value)).collect()
}

/// JSON whose whole numbers beyond 64 bits are texts: as numbers they would be rounded, and no answer could be right.
fn with_all_digits(json: &str) -> Cow<'_, str> {
    const SAFE_DIGITS: usize = 18;
    let (mut kept, mut copied, mut at) = (String::new(), 0, 0);
    let (bytes, mut in_text) = (json.as_bytes(), false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => in_text = !in_text,
            b'\\' => at += 1,
            b'0'..=b'9' | b'-' if !in_text => {
                let length = bytes[at..].iter().take_while(|byte| b"0123456789+-.eE".contains(byte)).count();
                let number = &json[at..at + length];
                if length > SAFE_DIGITS && number.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) {
                    kept.push_str(&json[copied..at]);
                    kept.extend(["\"", number, "\""]);
                    copied = at + length;
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 { json.into() } else { (kept + &json[copied..]).into() }
}

fn broken(path: &Path, line: usize, error: &serde_json::Error) -> TaskError {
    // The parser counts lines within what it was given; a line of JSONL is always its first.
    let reason = error.to_string();
    let reason = reason.split_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
    TaskError::Json { path: path.to_owned(), line, reason: format!("{reason} at column {}", error.column()) }
}
