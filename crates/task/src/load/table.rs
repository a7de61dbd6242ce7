//! Comma-separated values, quoted as RFC 4180 has it.

use super::row::Row;
use crate::error::TaskError;
use espalier_files::{read_input_text, without_mark};
use serde_json::{Map, Value};
use std::path::Path;

/// Rows whose columns the first line names.
pub(super) fn with_header(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    let text = read_text(path)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(without_mark(&text).as_bytes());
    let names: Vec<String> =
        reader.headers().map_err(|error| failed(path, &error))?.iter().map(|name| name.trim().to_owned()).collect();
    rows(path, reader, &names, limit)
}

/// Rows of as many columns as there are names.
pub(super) fn headerless(path: &Path, names: &[&str], limit: usize) -> Result<Vec<Row>, TaskError> {
    let text = read_text(path)?;
    let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(without_mark(&text).as_bytes());
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    rows(path, reader, &names, limit)
}

fn read_text(path: &Path) -> Result<String, TaskError> {
    read_input_text(path).map_err(|source| TaskError::Read { path: path.to_owned(), source })
}

fn rows(path: &Path, mut reader: csv::Reader<&[u8]>, names: &[String], limit: usize) -> Result<Vec<Row>, TaskError> {
    let mut rows = Vec::new();
    for record in reader.records().take(limit) {
        let record = record.map_err(|error| failed(path, &error))?;
        let number = rows.len() + 1;
        if record.len() != names.len() {
            let reason = format!("{} columns; there should be {}: {}", record.len(), names.len(), names.join(", "));
            return Err(TaskError::Row { path: path.to_owned(), place: format!("row {number}"), reason });
        }
        let fields: Map<String, Value> =
            names.iter().cloned().zip(record.iter().map(|cell| Value::String(cell.to_owned()))).collect();
        rows.push(Row { unit: "row", number, fields });
    }
    Ok(rows)
}

fn failed(path: &Path, error: &csv::Error) -> TaskError {
    match error.kind() {
        csv::ErrorKind::Io(source) => {
            let source = std::io::Error::new(source.kind(), source.to_string());
            TaskError::Read { path: path.to_owned(), source }
        }
        _ => {
            let place = error.position().map_or("the file".to_owned(), |position| format!("line {}", position.line()));
            TaskError::Row { path: path.to_owned(), place, reason: format!("broken CSV: {error}") }
        }
    }
}
