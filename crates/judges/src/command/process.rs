//! One process of a judging program: a line in, a line out, and a watch over both.

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest line that is read.
const LINE_BYTES: u64 = 1 << 20;
/// How much of what a program wrote to its standard error is kept.
const ERROR_BYTES: usize = 1 << 10;
/// Ends what it starts with the thread that started it: where it is missing, a program sees the end of its input instead.
const TETHER: &str = "/usr/bin/setpriv";

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It cannot be started.
    Start(String),
    /// It ended; with the end of what it wrote to its standard error.
    Died(String),
    /// It took too long.
    TimedOut(Duration),
    /// It wrote something else than an answer.
    Nonsense(String),
}

impl Trouble {
    /// Whether the process may have ended before it read the question.
    pub(super) fn is_death(&self) -> bool {
        matches!(self, Trouble::Died(_))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Start(error) => write!(f, "{error}"),
            Trouble::Died(errors) if errors.is_empty() => f.write_str("it ended without an answer"),
            Trouble::Died(errors) => write!(f, "it ended without an answer ({errors})"),
            Trouble::TimedOut(limit) => write!(f, "no answer in {} s", limit.as_secs_f64()),
            Trouble::Nonsense(line) => write!(f, "{line}"),
        }
    }
}

/// What a program answers.
#[derive(Deserialize)]
struct Answer {
    id: u64,
    score: Option<Score>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Score {
    Passes(bool),
    Number(f32),
}

/// A running program. It is killed, with all that it started in its group, when dropped.
pub(super) struct Process {
    child: Child,
    group: Pid,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    errors: Arc<Mutex<Vec<u8>>>,
    /// Until when it may be silent.
    deadlines: Sender<Option<Instant>>,
    was_late: Arc<AtomicBool>,
}

impl Process {
    pub(super) fn start(words: &[String]) -> Result<Process, Trouble> {
        let failed = |error: std::io::Error| Trouble::Start(error.to_string());
        let Some((program, arguments)) = words.split_first() else { return Err(Trouble::Start("no program".into())) };
        // Asked before the tether, which has no words of its own for a program that is not there.
        let is_there = program.contains('/') && Path::new(program).exists()
            || std::env::var_os("PATH")
                .is_some_and(|path| std::env::split_paths(&path).any(|at| at.join(program).exists()));
        if !is_there {
            return Err(Trouble::Start("there is no such program".to_owned()));
        }
        let mut command = if Path::new(TETHER).exists() {
            let mut tethered = Command::new(TETHER);
            tethered.args(["--pdeathsig", "KILL"]).arg(program);
            tethered
        } else {
            Command::new(program)
        };
        command.args(arguments).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let group = Pid::from_child(&child);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), Some(stderr)) = pipes else { return Err(Trouble::Start("no pipes".into())) };
        let errors = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&errors);
        thread::spawn(move || drain(stderr, &kept));
        let (deadlines, changes) = channel::<Option<Instant>>();
        let was_late = Arc::new(AtomicBool::new(false));
        let late = Arc::clone(&was_late);
        thread::spawn(move || {
            let mut deadline: Option<Instant> = None;
            loop {
                // While nothing is asked, an hour is as good as any time.
                let left =
                    deadline.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
                match changes.recv_timeout(left) {
                    Ok(next) => deadline = next,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) if deadline.is_none() => {}
                    Err(RecvTimeoutError::Timeout) => {
                        late.store(true, SeqCst);
                        // One that has ended meanwhile needs no signal.
                        let _ = kill_process_group(group, Signal::KILL);
                        return;
                    }
                }
            }
        });
        let from = BufReader::new(from);
        Ok(Process { child, group, to, from, errors, deadlines, was_late })
    }

    /// Asks one question. After an error the process is of no further use.
    pub(super) fn ask(&mut self, id: u64, line: &[u8], time_limit: Duration) -> Result<Option<f32>, Trouble> {
        let _ = self.deadlines.send(Instant::now().checked_add(time_limit));
        let mut said = Vec::new();
        let is_written = self.to.write_all(line).and_then(|()| self.to.flush()).is_ok();
        let is_read = is_written && self.from.by_ref().take(LINE_BYTES).read_until(b'\n', &mut said).is_ok();
        let _ = self.deadlines.send(None);
        if self.was_late.load(SeqCst) {
            return Err(Trouble::TimedOut(time_limit));
        }
        if !is_read || said.is_empty() {
            return Err(Trouble::Died(self.errors()));
        }
        if said.last() != Some(&b'\n') {
            let problem = format!("it wrote a line of more than {LINE_BYTES} bytes, or one without an end");
            return Err(Trouble::Nonsense(problem));
        }
        let shown = || String::from_utf8_lossy(&said[..said.len().min(80)]).trim().escape_debug().to_string();
        let nonsense = |what: &str| Trouble::Nonsense(format!("it wrote \"{}\" where {what} was to come", shown()));
        let answer: Answer = serde_json::from_slice(&said).map_err(|_| nonsense("a line of JSON with id and score"))?;
        if answer.id != id {
            return Err(nonsense(&format!("the answer to question {id}")));
        }
        match answer.score {
            None => Ok(None),
            Some(Score::Passes(passes)) => Ok(Some(f32::from(u8::from(passes)))),
            Some(Score::Number(score)) if (0.0..=1.0).contains(&score) => Ok(Some(score)),
            Some(Score::Number(_)) => Err(nonsense("a score from 0 to 1")),
        }
    }

    /// The end of what it wrote to its standard error, in one line.
    fn errors(&mut self) -> String {
        // Its last words may be on their way; it has ended or closed its output.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        thread::sleep(Duration::from_millis(10));
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&errors).trim().lines().last().unwrap_or_default().escape_debug().to_string()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Reads all that comes, and keeps the end of it.
fn drain(mut from: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..count]);
        let excess = kept.len().saturating_sub(ERROR_BYTES);
        kept.drain(..excess);
    }
}
