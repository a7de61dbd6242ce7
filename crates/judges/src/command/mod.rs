//! `command:PROG`: a program of the user's that reads questions and writes numbers, a line of JSON each.
//!
//! ```text
//!   score ──► questions, at most a few waiting ──► thread ──► process 1: line in, line out
//!                                                  thread ──► process 2 ..
//! ```
//! A question is `{"id": 7, "problem": {"id", "question", "answer", "kind"}, "steps": [..], "step": "..", "answer": "..",
//! "is_end": true}`, the answer to it `{"id": 7, "score": 1}` with a number from 0 to 1, `true`, `false` or `null`. What a model
//! wrote stands inside JSON strings, so that it can neither end a line nor speak in the program's name. A program that hangs,
//! dies, floods or answers something else is ended and started again, and says nothing of that question.

mod process;
#[cfg(test)]
mod tests;

use crate::scorer::{Asked, Scope, Scorer};
use crossbeam::channel::{Receiver, Sender, bounded};
use process::{Process, Trouble};
use serde_json::json;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Failures in a row, over all processes, after which a program is not started again.
const MOST_FAILURES: u32 = 24;
/// Pause after the first failure in a row; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How a program is run.
#[derive(Clone, Debug)]
pub struct CommandConfig {
    /// Processes of it; at least one.
    pub processes: usize,
    /// How long it may take for one question.
    pub time_limit: Duration,
    /// Whether it is asked about every step or about ends alone.
    pub scope: Scope,
}

/// A program that judges.
pub struct Command {
    scope: Scope,
    ask: Sender<Question>,
    next_id: AtomicU64,
    health: Arc<Health>,
}

/// A question on its way, and where the answer goes.
struct Question {
    id: u64,
    line: Vec<u8>,
    place: usize,
    reply: Sender<(usize, Option<f32>)>,
}

/// How a program does.
#[derive(Default)]
struct Health {
    failures_in_a_row: AtomicU32,
    failures: AtomicU64,
    last: Mutex<String>,
}

impl Health {
    fn is_dead(&self) -> bool {
        self.failures_in_a_row.load(Relaxed) >= MOST_FAILURES
    }

    fn failed(&self, trouble: &Trouble) -> u32 {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = trouble.to_string();
        self.failures.fetch_add(1, Relaxed);
        self.failures_in_a_row.fetch_add(1, Relaxed) + 1
    }
}

impl Command {
    /// Starts the processes. `program` is split at spaces, quotes hold words together; no shell reads it.
    ///
    /// # Errors
    /// A program that cannot be started, in one line.
    pub fn open(program: &str, config: &CommandConfig) -> Result<Command, String> {
        let words = shlex::split(program).filter(|words| !words.is_empty());
        let words: Arc<[String]> = words.ok_or_else(|| format!("{program:?} has a quote that does not end"))?.into();
        let processes = config.processes.max(1);
        let (ask, questions) = bounded(2 * processes);
        let health = Arc::new(Health::default());
        for _ in 0..processes {
            let process = Process::start(&words).map_err(|error| format!("cannot run {program:?}: {error}"))?;
            let (words, questions, health) = (Arc::clone(&words), questions.clone(), Arc::clone(&health));
            let time_limit = config.time_limit;
            thread::spawn(move || answer_all(&words, process, time_limit, &questions, &health));
        }
        Ok(Command { scope: config.scope, ask, next_id: AtomicU64::new(1), health })
    }

    fn question(&self, asked: &Asked<'_>, place: usize, reply: &Sender<(usize, Option<f32>)>) -> Question {
        let id = self.next_id.fetch_add(1, Relaxed);
        let problem = asked.problem;
        let body = json!({
            "id": id,
            "problem": {
                "id": problem.id,
                "question": problem.question,
                "answer": problem.answer,
                "kind": problem.kind,
            },
            "steps": asked.steps,
            "step": asked.step,
            "answer": asked.answer,
            "is_end": asked.is_end,
        });
        let mut line = body.to_string().into_bytes();
        line.push(b'\n');
        Question { id, line, place, reply: reply.clone() }
    }
}

impl Scorer for Command {
    fn scope(&self) -> Scope {
        self.scope
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        let mut scores = vec![None; asked.len()];
        let (reply, replies) = bounded(asked.len().max(1));
        for (place, asked) in asked.iter().enumerate() {
            if self.health.is_dead() || self.ask.send(self.question(asked, place, &reply)).is_err() {
                break;
            }
        }
        drop(reply);
        for (place, score) in replies {
            scores[place] = score;
        }
        scores
    }

    fn trouble(&self) -> Option<String> {
        let failures = self.health.failures.load(Relaxed);
        let last = self.health.last.lock().unwrap_or_else(PoisonError::into_inner);
        (failures > 0).then(|| {
            let end = if self.health.is_dead() { "; it was given up" } else { "" };
            format!("it failed {failures} times, at last: {last}{end}")
        })
    }
}

/// One thread's part of the questions, with one process after the other.
fn answer_all(
    words: &[String],
    process: Process,
    time_limit: Duration,
    questions: &Receiver<Question>,
    health: &Health,
) {
    let mut process = Some(process);
    for Question { id, line, place, reply } in questions {
        let mut score = None;
        // A process that died between two questions is no fault of the second one.
        for _ in 0..2 {
            if health.is_dead() {
                break;
            }
            let asked = match process.take() {
                Some(process) => Ok(process),
                None => Process::start(words),
            };
            let said = asked.and_then(|mut asked| {
                let score = asked.ask(id, &line, time_limit)?;
                process = Some(asked);
                Ok(score)
            });
            match said {
                Ok(said) => {
                    health.failures_in_a_row.store(0, Relaxed);
                    score = said;
                    break;
                }
                Err(trouble) => {
                    let failures = health.failed(&trouble);
                    thread::sleep(FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE));
                    if !trouble.is_death() {
                        break;
                    }
                }
            }
        }
        // Whoever asked may have gone.
        let _ = reply.send((place, score));
    }
}
