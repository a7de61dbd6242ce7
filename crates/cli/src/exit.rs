//! What a process says at its end: its result, its exit code and the one line that says what went wrong.

use std::fmt::Arguments;
use std::io::{Write, stdout};
use std::process::ExitCode;

/// How a command ended, when it could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done: exit code 0.
    Clean,
    /// Some items failed; they were reported and skipped: exit code 1.
    SomeFailed,
}

impl Outcome {
    /// `SomeFailed` when `failed` is not zero.
    pub fn from_failed(failed: usize) -> Outcome {
        if failed == 0 { Outcome::Clean } else { Outcome::SomeFailed }
    }

    /// Both outcomes together.
    #[must_use]
    pub fn and(self, other: Outcome) -> Outcome {
        if self == Outcome::Clean { other } else { self }
    }
}

/// Prints what a command found. A reader that has seen enough and closed the pipe, as `head` does, is no failure: the files
/// are written by then.
pub fn print_result(text: Arguments<'_>) {
    let _ = stdout().write_fmt(text).and_then(|()| stdout().flush());
}

/// Prints an error as one line and maps the result to the process's exit code.
pub fn finish(result: anyhow::Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        Err(error) => {
            // `{:#}` joins the chain of causes with colons; a cause may itself be of several lines.
            let line = format!("{error:#}").replace('\n', " ");
            eprintln!("error: {line}");
            ExitCode::from(2)
        }
    }
}
