//! What can go wrong with stored trees and pairs.

use arrow::datatypes::DataType;
use espalier_files::FilesError;
use parquet::errors::ParquetError;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Every error of this crate; each names the file, row or value that was wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The operating system could not read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The operating system could not write.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder without a single shard.
    #[error("no part-*.parquet in {}; give the folder that a finished stage wrote", path.display())]
    NoShards {
        /// The folder.
        path: PathBuf,
    },
    /// Not Parquet, or Parquet that is cut short or damaged.
    #[error("{} is cut short, damaged or not Parquet ({source}); remove it and make it again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        source: ParquetError,
    },
    /// The encoder refused.
    #[error("cannot encode {}: {source}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The encoder's reason.
        source: ParquetError,
    },
    /// Parquet of some other program.
    #[error("{} does not say that it holds {table}; give a file that this program wrote", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        table: &'static str,
    },
    /// Written by a program with another idea of the columns.
    #[error("{} has format version {found}, but this program reads version {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: String,
        /// The version of this program.
        expected: u32,
    },
    /// A column is missing, has another type, or has nulls where none may be.
    #[error("column {column} of {} {reason}; it must be {expected}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: String,
        /// What is wrong with it.
        reason: String,
        /// The type it must have.
        expected: DataType,
    },
    /// A row that contradicts the rows before it.
    #[error("row {row} of {}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0.
        row: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that could not be published, or a journal that could not be opened or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A record that is whole, but holds no tree.
    #[error("record {record} of {} holds no tree ({reason}); remove the journal to search again", path.display())]
    Record {
        /// The journal.
        path: PathBuf,
        /// The record, counted from 0.
        record: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A selection rule that selects nothing or says nothing.
    #[error(transparent)]
    Rule(#[from] espalier_settings::OutOfRange),
    /// A pair whose tree is not among the given ones.
    #[error("no given tree holds the pair of nodes {chosen} and {rejected} of problem {problem_id}, round {round}")]
    PairWithoutTree {
        /// The problem.
        problem_id: String,
        /// The round.
        round: u32,
        /// The chosen node.
        chosen: u32,
        /// The rejected node.
        rejected: u32,
    },
}

impl TreeError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> TreeError + '_ {
        |source| TreeError::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> TreeError + '_ {
        |source| TreeError::Write { path: path.to_owned(), source }
    }

    pub(crate) fn decode<E: Into<ParquetError>>(path: &Path) -> impl FnOnce(E) -> TreeError + '_ {
        |source| TreeError::Parquet { path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn encode<E: Into<ParquetError>>(path: &Path) -> impl FnOnce(E) -> TreeError + '_ {
        |source| TreeError::Encode { path: path.to_owned(), source: source.into() }
    }
}
