//! What can go wrong with problem sets.

use std::path::PathBuf;

/// Errors of loading, writing, and generating problems. Each names the place and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The file cannot be opened or read.
    #[error("{}: cannot read: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("{}: cannot write: {source}; check that the folder exists and has space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file cannot be published.
    #[error(transparent)]
    Files(#[from] espalier_files::FilesError),
    /// The file's name says nothing about its format.
    #[error("{}: unknown extension `{extension}`; name it .jsonl, .json (an array), or .parquet", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
        /// What follows the last dot; empty if nothing does.
        extension: String,
    },
    /// A line of JSONL, or a whole JSON file, is not JSON.
    #[error("{}:{line}: broken JSON: {reason}; repair or delete this line", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The parser's reason.
        reason: String,
    },
    /// The Parquet file is truncated, damaged, or something else.
    #[error("{}: not a readable Parquet file: {reason}; copy it again or write it anew", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        reason: String,
    },
    /// A row lacks a field, or has one of the wrong type.
    #[error("{}: {place}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// `line 3` or `row 3`, both counted from 1.
        place: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Two rows have the same id.
    #[error("{}: the id `{id}` occurs twice; make ids unique, or leave them out", path.display())]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// The id.
        id: String,
    },
    /// The file holds no problem.
    #[error("{}: holds no problem; give a file with at least one", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No family has this name.
    #[error("unknown family `{name}`; the families are: {known}")]
    UnknownFamily {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The difficulty range is empty or leaves what the families can tell.
    #[error("difficulty {min}..={max} is not within {lowest}..={highest} steps, or is empty")]
    Difficulty {
        /// Fewest steps asked for.
        min: u32,
        /// Most steps asked for.
        max: u32,
        /// Fewest steps that a family can tell.
        lowest: u32,
        /// Most steps that a family can tell.
        highest: u32,
    },
    /// A task's file does not say what it should, or its prompt cannot be made.
    #[error("the task {place}: {reason}")]
    Task {
        /// The file, or the task's name.
        place: String,
        /// The key that is wrong, its value, and what it should be.
        reason: String,
    },
    /// A setting out of its range.
    #[error(transparent)]
    Setting(#[from] espalier_settings::OutOfRange),
    /// A family has no more distinct questions.
    #[error("family `{family}` with {steps} steps has no more than {found} distinct questions; ask for fewer problems")]
    Exhausted {
        /// The family.
        family: String,
        /// The difficulty.
        steps: u32,
        /// How many were found.
        found: usize,
    },
    /// Code cannot be run without danger on this machine.
    #[error("code answers cannot be run here: {reason}; they need Linux with user namespaces, util-linux, and python3")]
    Sandbox {
        /// What is missing, or which of the sandbox's walls did not hold.
        reason: String,
    },
    /// The tests of a program cannot be run.
    #[error("a program cannot be judged: {reason}; repair or leave out this problem")]
    Tests {
        /// What is wrong with them.
        reason: String,
    },
}
