//! `command:PROG`: a judge that is a program of any language, kept running.
//!
//! ```text
//!  score, from many threads ──► bounded queue ──► threads, each with one process ──line──► PROG ──line──► a score, or nothing
//!                                                    │ it died, hung, or said too much: killed, started again, later each time
//!                                                    └ so many failures in a row: given up, and every question has no answer
//! ```
//!
//! The lines are those of [`wire`]. A program is not trusted to be well: its time is bounded, what it prints is, and its
//! whole group of processes ends with the judge, or with this process, however that ends.

mod config;
mod process;
#[cfg(test)]
mod tests;
mod watch;
mod wire;

pub use config::CommandConfig;

use crate::crew::Crew;
use crate::error::JudgeError;
use crate::scorer::{Asked, Scope, Scorer};
use crate::standing::{Notice, Standing};
use espalier_task::Sandbox;
use process::{Failure, Process};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};
use watch::Watch;

/// The pause before a process is started again: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a thread that pauses looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(20);
/// No question is waited for longer, whatever is set.
const LONGEST_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Questions that wait for each process.
const WAITING: usize = 4;

/// A judge that is a program.
pub struct Program {
    crew: Crew<String, Option<f32>>,
    shared: Arc<Shared>,
}

struct Shared {
    what: What,
    config: CommandConfig,
    standing: Standing,
    watch: Arc<Watch>,
    is_closed: AtomicBool,
}

/// What is started.
enum What {
    /// A program with its arguments.
    Command(Vec<String>),
    /// A Python program behind walls.
    Sandboxed(Sandbox, String),
}

impl Program {
    /// A program with its arguments, as a shell would split them: blanks separate, quotes and backslashes keep together. No
    /// shell is asked, so that nothing else has a meaning. It is started once, to see that it can be.
    ///
    /// # Errors
    /// A setting out of range; a command that is empty, has an open quote, or cannot be started.
    pub fn open(command: &str, config: &CommandConfig, notice: Notice) -> Result<Program, JudgeError> {
        let failed = |problem: &str| JudgeError::Command { command: command.to_owned(), problem: problem.to_owned() };
        let words = shlex::split(command).ok_or_else(|| failed("a quote in it is never closed"))?;
        if words.is_empty() {
            return Err(failed("it is empty; write PROGRAM [ARGUMENT].."));
        }
        Program::start(command, What::Command(words), config, notice)
    }

    /// A file of Python, run in the sandbox: it has standard Python, its standard input and output, and nothing of the machine.
    ///
    /// # Errors
    /// A setting out of range; a file that cannot be read; no sandbox on this machine.
    pub fn open_sandboxed(file: &Path, config: &CommandConfig, notice: Notice) -> Result<Program, JudgeError> {
        let failed = |error: std::io::Error| JudgeError::File { path: file.to_owned(), problem: error.to_string() };
        let text = espalier_files::read_input_text(file).map_err(failed)?;
        let what = What::Sandboxed(Sandbox::open()?, text);
        Program::start(&file.display().to_string(), what, config, notice)
    }

    fn start(name: &str, what: What, config: &CommandConfig, notice: Notice) -> Result<Program, JudgeError> {
        config.check()?;
        let failed = |problem: std::io::Error| {
            let problem = match problem.kind() {
                ErrorKind::NotFound => "there is no such program".to_owned(),
                _ => problem.to_string(),
            };
            JudgeError::Command { command: name.to_owned(), problem }
        };
        let shared = Arc::new(Shared {
            what,
            config: config.clone(),
            standing: Standing::new(config.failures, notice),
            watch: Arc::new(Watch::start().map_err(failed)?),
            is_closed: AtomicBool::new(false),
        });
        // The thread that has a process starts it: walls fall with the thread that built them.
        let (started, first) = channel();
        let hands = (0..config.processes).map(|_| {
            let mut hand = Hand {
                shared: Arc::clone(&shared),
                process: None,
                first: started.clone(),
                restarts: 0,
                rest_until: None,
            };
            move |question: String| hand.answer(&question)
        });
        let crew = Crew::start(hands, WAITING * config.processes).map_err(JudgeError::Thread)?;
        let program = Program { crew, shared };
        // An empty question starts the first process and asks nothing.
        program.crew.ask([String::new()]);
        match first.try_recv() {
            Ok(Err(error)) => Err(failed(error)),
            _ => Ok(program),
        }
    }
}

impl Scorer for Program {
    fn scope(&self) -> Scope {
        self.shared.config.scope
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        if self.shared.standing.is_given_up() {
            return vec![None; asked.len()];
        }
        self.crew.ask(asked.iter().map(wire::body)).into_iter().map(Option::flatten).collect()
    }

    fn trouble(&self) -> Option<String> {
        self.shared.standing.trouble()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        // Threads that wait for an answer get none.
        self.shared.watch.end();
        self.crew.end();
    }
}

/// What one thread has.
struct Hand {
    shared: Arc<Shared>,
    process: Option<Process>,
    /// Told of the start that an empty question asks for.
    first: Sender<std::io::Result<()>>,
    /// Processes in a row that ended without an answer.
    restarts: u32,
    rest_until: Option<Instant>,
}

impl Hand {
    fn answer(&mut self, question: &str) -> Option<f32> {
        if question.is_empty() {
            let started = self.start().map(|process| self.process = Some(process));
            drop(self.first.send(started));
            return None;
        }
        let shared = Arc::clone(&self.shared);
        let was_there = self.process.is_some();
        let mut outcome = self.ask(question);
        if let (true, Err(Failure::Died(_))) = (was_there, &outcome) {
            // It may have died before it saw the question; one that was started for it has seen it.
            outcome = self.ask(question);
        }
        match outcome {
            Ok(score) => {
                self.restarts = 0;
                shared.standing.succeeded();
                score
            }
            Err(Failure::Died(reason) | Failure::Ended(reason) | Failure::Nonsense(reason)) => {
                if !shared.is_over() {
                    shared.standing.failed(&reason);
                }
                None
            }
        }
    }

    fn ask(&mut self, question: &str) -> Result<Option<f32>, Failure> {
        let CommandConfig { timeout_s, start_timeout_s, .. } = self.shared.config;
        let (mut process, limit) = match self.process.take() {
            Some(process) if process.has_answered => (process, timeout_s),
            Some(process) => (process, timeout_s + start_timeout_s),
            None => {
                self.rest();
                if self.shared.is_over() {
                    return Err(Failure::Ended("it is given up".to_owned()));
                }
                let process = self.start().map_err(|error| {
                    self.restarts += 1;
                    self.rest_until = Some(Instant::now() + pause(self.restarts));
                    Failure::Ended(format!("it cannot be started: {error}"))
                })?;
                (process, timeout_s + start_timeout_s)
            }
        };
        let limit = Duration::try_from_secs_f64(limit).unwrap_or(LONGEST_LIMIT).min(LONGEST_LIMIT);
        let outcome = process.ask(question, limit);
        match outcome {
            Ok(_) | Err(Failure::Nonsense(_)) => self.process = Some(process),
            Err(Failure::Died(_) | Failure::Ended(_)) => {
                drop(process);
                self.restarts += 1;
                self.rest_until = Some(Instant::now() + pause(self.restarts));
            }
        }
        outcome
    }

    fn start(&self) -> std::io::Result<Process> {
        let (command, first) = match &self.shared.what {
            What::Command(words) => {
                let mut command = Command::new(&words[0]);
                // Python writes lines into a pipe only when there are many of them.
                command.args(&words[1..]).env("PYTHONUNBUFFERED", "1");
                (command, String::new())
            }
            What::Sandboxed(sandbox, text) => sandbox.lines(text),
        };
        Process::start(command, first, &self.shared.watch)
    }

    /// Waits until a process may be started again.
    fn rest(&mut self) {
        while self.rest_until.is_some_and(|until| until > Instant::now()) && !self.shared.is_over() {
            sleep(GLANCE);
        }
        self.rest_until = None;
    }
}

fn pause(restarts: u32) -> Duration {
    LONGEST_PAUSE.min(FIRST_PAUSE.saturating_mul(1 << restarts.saturating_sub(1).min(10)))
}

impl Shared {
    /// Whether no question is to be answered any more.
    fn is_over(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst) || self.standing.is_given_up()
    }
}
