//! Why a judge cannot be used.

use std::path::PathBuf;
use thiserror::Error;

/// What is wrong with a judge as it is asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] espalier_settings::OutOfRange),
    /// A command that cannot be started.
    #[error("the judge {command:?} cannot be started: {problem}")]
    Command {
        /// As it was given.
        command: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A judge's file cannot be read.
    #[error("the judge {} cannot be read: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Programs cannot be run in a sandbox on this machine.
    #[error(transparent)]
    Sandbox(#[from] espalier_task::TaskError),
    /// A template that is none.
    #[error("the judge's template cannot be read: {problem}")]
    Template {
        /// What is wrong with it.
        problem: String,
    },
    /// A regular expression that is none.
    #[error("the judge's verdict is no regular expression: {problem}")]
    Pattern {
        /// What is wrong with it.
        problem: String,
    },
    /// Servers that do not answer, or have not the model.
    #[error(transparent)]
    Server(#[from] espalier_server::ServerError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
