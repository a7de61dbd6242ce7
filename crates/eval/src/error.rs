//! Errors of this crate.

use espalier_files::FilesError;
use espalier_search::{PolicyError, SearchError};
use espalier_task::TaskError;
use std::error::Error;
use std::path::PathBuf;

/// Why problems could not be answered, graded or compared.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The policy failed altogether.
    #[error("the policy failed to answer")]
    Policy(#[from] PolicyError),
    /// A search for answers failed altogether.
    #[error("the search stopped")]
    Search(#[from] SearchError),
    /// An answer could not be judged, which says nothing about whether it is right.
    #[error("the answer to problem {problem_id} cannot be graded")]
    Grade {
        /// The problem.
        problem_id: String,
        /// Why.
        source: TaskError,
    },
    /// The caller could not take an answer.
    #[error("cannot store an answer")]
    Sink(#[source] Box<dyn Error + Send + Sync>),
    /// A file could not be read or published.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A journal whose records are no answers.
    #[error("{} holds no answers; remove it", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What is wrong with a record.
        source: serde_json::Error,
    },
    /// An answer that cannot be written as JSON.
    #[error("cannot encode an answer")]
    Encode(#[source] serde_json::Error),
    /// A Parquet file of samples that cannot be written or read.
    #[error("{} cannot be {action} as a Parquet file of samples", path.display())]
    Samples {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file of samples without a column that each has.
    #[error("{} has no column `{column}` that holds {wanted}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What the column should hold.
        wanted: &'static str,
    },
    /// A file of samples without rows.
    #[error("{} holds no sample", path.display())]
    NoSample {
        /// The file.
        path: PathBuf,
    },
    /// Two evaluations of which no problem is the same.
    #[error("the evaluations have no problem in common")]
    NothingInCommon,
    /// One id for two problems.
    #[error("problem {problem_id} has one question in the first evaluation and another in the second")]
    OtherQuestion {
        /// The id.
        problem_id: String,
    },
}
