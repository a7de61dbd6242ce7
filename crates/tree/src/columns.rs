//! Columns of a record batch by name, with their types made sure, so that rows are read without further checks.

use crate::error::TreeError;
use crate::schema::element;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use std::path::Path;

/// A batch and the file it came from.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub batch: &'a RecordBatch,
    pub path: &'a Path,
}

impl Columns<'_> {
    /// A string column; dictionaries and large strings are taken too, since other programs rewrite files with them.
    pub(crate) fn strings(&self, column: &str) -> Result<StringArray, TreeError> {
        Ok(self.required(column, &DataType::Utf8)?.as_string().clone())
    }

    /// A string column that may hold nulls.
    pub(crate) fn optional_strings(&self, column: &str) -> Result<StringArray, TreeError> {
        Ok(self.of_type(column, &DataType::Utf8)?.as_string().clone())
    }

    /// A numeric column.
    pub(crate) fn numbers<T: ArrowPrimitiveType>(&self, column: &str) -> Result<ScalarBuffer<T::Native>, TreeError> {
        Ok(self.required(column, &T::DATA_TYPE)?.as_primitive::<T>().values().clone())
    }

    /// A numeric column that may hold nulls.
    pub(crate) fn optional_numbers<T: ArrowPrimitiveType>(&self, column: &str) -> Result<PrimitiveArray<T>, TreeError> {
        Ok(self.of_type(column, &T::DATA_TYPE)?.as_primitive::<T>().clone())
    }

    /// A column of lists of numbers.
    pub(crate) fn lists<T: ArrowPrimitiveType>(&self, column: &str) -> Result<Lists<T>, TreeError> {
        let array = self.required(column, &DataType::List(element(T::DATA_TYPE)))?;
        let array = array.as_list::<i32>();
        let values = array.values().as_primitive::<T>().values().clone();
        Ok(Lists { offsets: array.offsets().clone(), values })
    }

    fn required(&self, column: &str, expected: &DataType) -> Result<ArrayRef, TreeError> {
        let array = self.of_type(column, expected)?;
        if array.null_count() > 0 {
            return Err(self.wrong(column, format!("has {} nulls", array.null_count()), expected));
        }
        Ok(array)
    }

    fn of_type(&self, column: &str, expected: &DataType) -> Result<ArrayRef, TreeError> {
        let Some(array) = self.batch.column_by_name(column) else {
            return Err(self.wrong(column, "is missing".to_owned(), expected));
        };
        if array.data_type() == expected {
            return Ok(array.clone());
        }
        // `safe: false` makes a value that does not fit an error rather than a null.
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, expected, &exact)
            .map_err(|error| self.wrong(column, format!("is {} ({error})", array.data_type()), expected))
    }

    fn wrong(&self, column: &str, reason: String, expected: &DataType) -> TreeError {
        TreeError::Column { path: self.path.to_owned(), column: column.to_owned(), reason, expected: expected.clone() }
    }
}

/// A column of lists of numbers, read as slices.
pub(crate) struct Lists<T: ArrowPrimitiveType> {
    offsets: OffsetBuffer<i32>,
    values: ScalarBuffer<T::Native>,
}

impl<T: ArrowPrimitiveType> Lists<T> {
    /// The list in a row.
    pub(crate) fn get(&self, row: usize) -> &[T::Native] {
        &self.values[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}
