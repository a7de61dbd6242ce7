//! What a process says at its end: its result, its exit code and the one line that says what went wrong.

use crate::shown::say;
use std::any::Any;
use std::fmt::Arguments;
use std::io::{Write, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// Runs a command to its exit code. A panic is a fault of this program, or of a library that takes no memory or thread for
/// an error: it is said in one line, and ends as what could not run.
pub fn run(command: impl FnOnce() -> anyhow::Result<Outcome>) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // What becomes an error is reported as such.
        if !espalier_files::catches_panics() {
            let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
            say(format_args!("error: {}{}", first_line(panic.payload()), place.unwrap_or_default()));
        }
    }));
    match catch_unwind(AssertUnwindSafe(command)) {
        Ok(result) => finish(result),
        Err(_) => ExitCode::from(2),
    }
}

/// What a panic says, without the trace of LibTorch's C++, which comes in the same text.
fn first_line(panic: &dyn Any) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("a panic without a message");
    // Inside the text of an error that was unwrapped, line breaks are written out.
    let end = ["\n", "\\n"].iter().filter_map(|line_break| text.find(line_break)).min();
    &text[..end.unwrap_or(text.len())]
}

/// Prints an error as one line and maps the result to the process's exit code.
pub fn finish(result: anyhow::Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        Err(error) => {
            say(format_args!("error: {}", chain(&error).replace('\n', " ")));
            ExitCode::from(2)
        }
    }
}

/// An error with its causes, with colons between; a cause that is said already is not said again.
fn chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            line.push_str(if line.is_empty() { "" } else { ": " });
            line.push_str(&cause);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::anyhow!("no such file").context("cannot read x: no such file").context("the policy");
        assert_eq!(chain(&error), "the policy: cannot read x: no such file");
    }

    #[test]
    fn a_panic_is_one_line_and_could_not_run() {
        let unwrapped =
            "called `Result::unwrap()` on an `Err` value: Torch(\"no memory\\nException raised from x.cpp\")";
        assert_eq!(first_line(&unwrapped.to_owned()), "called `Result::unwrap()` on an `Err` value: Torch(\"no memory");
        assert_eq!(first_line(&"out of range\ntrace"), "out of range");
        assert_eq!(first_line(&7), "a panic without a message");
        assert_eq!(run(|| panic!("for the test")), ExitCode::from(2));
        assert_eq!(run(|| Ok(Outcome::SomeFailed)), ExitCode::from(1));
    }
}
