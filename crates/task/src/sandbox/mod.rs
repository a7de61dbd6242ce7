//! Judging Python that a model wrote, where it can do no harm and cannot say itself that it is right.
//!
//! ```text
//!                      ┌──────────────── arbiter (this process) ────────────────┐
//!      defined, answers │                                                        │ calls, verdict
//!  ┌────────────────────┴───────────────┐                      ┌─────────────────┴──────────────────┐
//!  │ sandbox 1: the program              │                      │ sandbox 2: the tests                │
//!  └────────────────────────────────────┘                      └────────────────────────────────────┘
//!
//!  a sandbox: mounts, network, processes, IPC, host name, session of its own; a user of its own (root: an unused one
//!             of the machine, otherwise a user namespace)
//!   └─ sh: a root in memory; /usr, /lib, /lib64, /bin and all that is mounted below them in it, read-only
//!       └─ no capabilities ─► limits ─► python3: driver ─► a filter of system calls ─► the program, or the tests
//! ```
//!
//! **The verdict.** The tests run in a process that the program can neither see, read, nor signal; it is sent the
//! arguments of one call at a time and answers with plain data, and no message of its own means "passed". What is right
//! is decided by the tests alone, on numbers, strings and containers that the tests' own interpreter built: an object
//! that equals everything cannot be sent. What remains is what any black-box test leaves open: a program that guesses
//! what is expected from the arguments, and tests that test too little. Two processes share no objects: a program that
//! must return the very object it was given, or is handed a function, cannot be judged.
//!
//! **The bounds.** A program is one process of at most 16 threads: the filter refuses a second one, and all memory that
//! would not be counted in its address space of 1 GiB. With 64 MiB of files, 10 seconds of the clock and of the
//! processor, that holds for root and for plain users, without control groups.
//!
//! The tools are util-linux's and coreutils'. Whether the walls hold is not assumed but tried, once, before the first
//! program runs.

mod filter;
mod interpreter;
#[cfg(test)]
mod tests;

use crate::error::TaskError;
use interpreter::{Interpreter, Walls, Watch};
use serde_json::json;
use std::sync::OnceLock;
use std::time::Duration;

/// Longest a program may run, in seconds, of the clock as of the processor. Starting Python is not counted.
const TIME_LIMIT_S: u64 = 10;
/// Longest that a start may take, on however busy a machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Tries each wall and names those that give way.
const ATTEMPTS: &str = include_str!("attempts.py");
const TESTS_OF_ATTEMPTS: &str =
    "def check(candidate):\n    found = candidate()\n    assert not found, ', '.join(found)\n";

/// A place to judge Python in that was tried and held.
#[derive(Clone, Debug)]
pub struct Sandbox {
    walls: Walls,
}

/// A program with what it is tested by.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The program's text.
    pub program: &'a str,
    /// The function in it that is called.
    pub entry_point: &'a str,
    /// The head of that function, with what is defined before it: given, not the model's, so that the tests may use it.
    pub head: &'a str,
    /// Python that defines `check(candidate)`, which raises if something is wrong.
    pub tests: &'a str,
}

/// What the tests say of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The tests ran to their end.
    Passed,
    /// The program or its tests raised, exited, or were killed for their memory; the reason.
    Failed(String),
    /// The program was still running after the time limit.
    TimedOut,
}

impl Sandbox {
    /// Looks for the tools and tries the walls; the result is kept for the life of this process.
    ///
    /// # Errors
    /// [`TaskError::Sandbox`] with what is missing or what did not hold.
    pub fn open() -> Result<Sandbox, TaskError> {
        static TRIED: OnceLock<Result<Sandbox, String>> = OnceLock::new();
        TRIED.get_or_init(Sandbox::tried).clone().map_err(|reason| TaskError::Sandbox { reason })
    }

    fn tried() -> Result<Sandbox, String> {
        let sandbox = Sandbox { walls: Walls::find(TIME_LIMIT_S)? };
        let marker = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
        let attempts = ATTEMPTS.replace("MARKER", &format!("{:?}", marker.path().to_string_lossy()));
        let judged = Judged { program: &attempts, entry_point: "escaped", head: "", tests: TESTS_OF_ATTEMPTS };
        match sandbox.judge(judged).map_err(|error| match error {
            TaskError::Sandbox { reason } => reason,
            other => other.to_string(),
        })? {
            Verdict::Passed => Ok(sandbox),
            Verdict::Failed(reason) => Err(format!("the sandbox does not hold ({reason})")),
            Verdict::TimedOut => Err("the attempts to leave the sandbox do not end".to_owned()),
        }
    }

    /// A command that runs a program of nothing but standard Python, and what is to be written to its standard input first.
    /// Behind that, its standard input and output are the program's own, without end: whoever starts it has to bound its time,
    /// and to read what it says with care. It ends with the thread that started it.
    pub fn lines(&self, program: &str) -> (std::process::Command, String) {
        let first = format!("{:?}\n{}\n", self.walls.filter, json!(program));
        (self.walls.command("lines", "unlimited"), first)
    }

    /// Runs a program of nothing but standard Python and tests its function, for ten seconds at most.
    ///
    /// # Errors
    /// [`TaskError::Sandbox`] if no process can be started; [`TaskError::Tests`] if the tests do not load, or need
    /// what two processes cannot exchange.
    pub fn judge(&self, judged: Judged<'_>) -> Result<Verdict, TaskError> {
        let failed = |reason| TaskError::Sandbox { reason };
        let mut program = Interpreter::start(&self.walls, "program").map_err(failed)?;
        let mut tests = Interpreter::start(&self.walls, "tests").map_err(failed)?;
        let watch = Watch::over([program.process(), tests.process()], START_LIMIT);
        for is_program in [true, false] {
            let said = if is_program { &mut program } else { &mut tests }.receive();
            if said.is_none_or(|(word, _)| word != "ready") {
                let errors = if is_program { program } else { tests }.failure();
                let reason = if watch.has_ended() { "in time".to_owned() } else { format!(": {errors}") };
                return Err(failed(format!("the sandbox does not start {reason}")));
            }
        }
        watch.renew(Duration::from_secs(self.walls.time_limit_s));
        let verdict = judge(judged, &mut program, &mut tests)?;
        Ok(if watch.has_ended() { Verdict::TimedOut } else { verdict })
    }
}

/// Carries calls and answers between a program and its tests until one of them has the last word.
fn judge(judged: Judged<'_>, program: &mut Interpreter, tests: &mut Interpreter) -> Result<Verdict, TaskError> {
    let text = |json: &str| serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
    let early = || Ok(Verdict::Failed("the program ended before it answered".to_owned()));
    program.send(&json!({"program": judged.program, "entry_point": judged.entry_point}).to_string());
    match program.receive() {
        Some((word, _)) if word == "defined" => {}
        Some((word, reason)) if word == "failed" => return Ok(Verdict::Failed(text(&reason))),
        _ => return early(),
    }
    let setup = json!({"head": judged.head, "check": judged.tests, "entry_point": judged.entry_point});
    tests.send(&setup.to_string());
    loop {
        let Some((word, content)) = tests.receive() else {
            return Ok(Verdict::Failed("the tests ended early".to_owned()));
        };
        match word.as_str() {
            "call" => {
                program.send(&content);
                match program.receive() {
                    Some((word, answer)) if word == "answer" => tests.send(&answer),
                    _ => return early(),
                }
            }
            "passed" => return Ok(Verdict::Passed),
            "unjudged" => return Err(TaskError::Tests { reason: text(&content) }),
            _ => return Ok(Verdict::Failed(text(&content))),
        }
    }
}
