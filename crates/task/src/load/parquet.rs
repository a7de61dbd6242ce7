//! Parquet tables.

use super::row::{ANSWER, OPTIONAL, QUESTION, Row};
use crate::error::TaskError;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use espalier_table::{TableBytes, TableError, batches, open_table, rows_at_a_time};
use parquet::arrow::ProjectionMask;
use serde_json::{Map, Value};
use std::path::Path;

/// Rows that are read at a time, where they are of usual sizes.
const BATCH_ROWS: usize = 1024;

/// Reads the columns that a problem can have, and `more`; others may be of any type, and their names come back.
pub(super) fn read(path: &Path, limit: usize, more: &[String]) -> Result<(Vec<Row>, Vec<String>), TaskError> {
    let known = [&QUESTION[..], &ANSWER[..], &OPTIONAL[..]].concat();
    read_columns(path, limit, |name| known.contains(&name) || more.iter().any(|one| one == name))
}

/// Reads all columns, for publishers' layouts.
pub(super) fn read_all(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    read_columns(path, limit, |_| true).map(|(rows, _)| rows)
}

/// The rows in the columns that count, and the names of the others.
fn read_columns(
    path: &Path,
    limit: usize,
    counts: impl Fn(&str) -> bool,
) -> Result<(Vec<Row>, Vec<String>), TaskError> {
    let broken =
        |error: &dyn std::fmt::Display| TaskError::Parquet { path: path.to_owned(), reason: error.to_string() };
    let unreadable = |source| TaskError::Read { path: path.to_owned(), source };
    let builder = open_table(path).map_err(|error| match error {
        TableError::Read(source) => unreadable(source),
        TableError::Decode(source) => broken(&source),
    })?;
    let names = builder.schema().fields().iter().map(|field| field.name());
    let unread = names.filter(|name| !counts(name)).cloned().collect();
    let wanted = builder.schema().fields().iter().enumerate();
    let wanted: Vec<usize> = wanted.filter(|(_, field)| counts(field.name())).map(|(column, _)| column).collect();
    let columns = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let parts = builder.metadata().row_groups().iter().flat_map(|group| group.columns().iter().enumerate());
    let sizes = parts.filter(|(leaf, _)| columns.leaf_included(*leaf)).map(|(_, part)| part.uncompressed_size());
    let batch_rows = rows_at_a_time(sizes, BATCH_ROWS).map_err(unreadable)?;
    let builder = builder.with_projection(columns).with_batch_size(batch_rows);
    let builder = if limit == usize::MAX { builder } else { builder.with_limit(limit) };
    let (mut rows, mut bytes) = (Vec::new(), TableBytes::default());
    for batch in batches(builder).map_err(|error| broken(&error))? {
        let batch = batch.map_err(|error| broken(&error))?;
        bytes.add(batch.get_array_memory_size()).map_err(unreadable)?;
        for row in 0..batch.num_rows() {
            let number = rows.len() + 1;
            rows.push(Row { unit: "row", number, fields: fields(path, &batch, row, number)? });
        }
    }
    Ok((rows, unread))
}

fn fields(path: &Path, batch: &RecordBatch, row: usize, number: usize) -> Result<Map<String, Value>, TaskError> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name());
    let is_needed = |name: &str| QUESTION.contains(&name) || ANSWER.contains(&name);
    names
        .zip(batch.columns())
        .map(|(name, column)| match cell(column, row) {
            Some(value) => Ok((name.clone(), value)),
            None if !is_needed(name) => Ok((name.clone(), Value::Null)),
            None => Err(TaskError::Row {
                path: path.to_owned(),
                place: format!("row {number}"),
                reason: format!("`{name}` is {}; store it as text or a number", column.data_type()),
            }),
        })
        .collect()
}

/// A cell as the JSON value it corresponds to; `None` if its type has no counterpart here.
fn cell(array: &ArrayRef, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return Some(Value::Null);
    }
    Some(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        // Not a number: null, so that the row is reported as lacking the field.
        // The shortest decimal of a float32 is what was meant: 0.1, not 0.10000000149011612.
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_string().parse::<f64>().ok()?.into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Decimal128(_, _) => array.as_primitive::<Decimal128Type>().value_as_string(row).into(),
        DataType::Decimal256(_, _) => array.as_primitive::<Decimal256Type>().value_as_string(row).into(),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            return cell(dictionary.values(), *dictionary.normalized_keys().get(row)?);
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::Struct(members) => {
            let columns = array.as_struct().columns();
            let values =
                members.iter().zip(columns).map(|(field, column)| Some((field.name().clone(), cell(column, row)?)));
            Value::Object(values.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn list(items: &ArrayRef) -> Option<Value> {
    (0..items.len()).map(|item| cell(items, item)).collect::<Option<Vec<_>>>().map(Value::Array)
}
