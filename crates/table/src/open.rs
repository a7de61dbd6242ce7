//! Opening a table and reading its rows.

use crate::footer::{check_pages, open_parquet};
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use espalier_files::caught;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use std::fs::File;
use std::io;
use std::path::Path;

/// Why a table cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read, or its footer claims more than it can hold.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The file is no Parquet, or damaged.
    #[error(transparent)]
    Decode(#[from] ParquetError),
}

/// Opens a file and reads its footer; which rows and columns are read is still to be chosen.
///
/// # Errors
/// What the file has wrong.
pub fn open_table(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, TableError> {
    let file = open_parquet(path)?;
    let builder = caught(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone()?)?;
        let parts = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
        check_pages(&file, parts.map(ColumnChunkMetaData::byte_range))?;
        Ok(builder)
    });
    Ok(builder.map_err(ParquetError::General).flatten()?)
}

/// The rows that a builder chooses.
///
/// # Errors
/// What the library says of the file.
pub fn batches(builder: ParquetRecordBatchReaderBuilder<File>) -> Result<Batches, ParquetError> {
    let reader = caught(|| builder.build()).map_err(ParquetError::General).flatten()?;
    Ok(Batches(Some(reader)))
}

/// The rows of a table, batch by batch; nothing once one has failed.
#[derive(Debug)]
pub struct Batches(Option<ParquetRecordBatchReader>);

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.0.as_mut()?;
        let batch = caught(|| reader.next().transpose()).map_err(ArrowError::ParquetError).flatten();
        if batch.is_err() {
            self.0 = None;
        }
        batch.transpose()
    }
}
