//! A Python behind walls, spoken with in lines, and the watch that ends it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const WALLS: &str = include_str!("walls.sh");
const DRIVER: &str = include_str!("driver.py");

/// Largest address space, in bytes. A program is one process, and no memory outlives it: all that it can hold.
const MEMORY_BYTES: u64 = 1 << 30;
/// Most threads; for a plain user, the shell that waits for the program counts as one.
const THREADS: u32 = 16;
/// Longest line that is read.
const MAX_LINE_BYTES: u64 = 1 << 24;
/// How much of the errors of a failed start is shown.
const MAX_ERROR_BYTES: u64 = 1 << 12;

/// The users that systems leave to services which need one for a while; the machine's files belong to none of them.
const FIRST_USER: u32 = 61184;
const USERS: u32 = 4336;

/// How to start one.
#[derive(Clone, Debug)]
pub(super) struct Walls {
    pub python: PathBuf,
    /// Whether this process may become any user.
    pub is_root: bool,
    /// Of the processor.
    pub time_limit_s: u64,
    /// Instructions of the filter of system calls, in hexadecimal digits.
    pub filter: String,
}

impl Walls {
    /// Looks for the tools.
    pub(super) fn find(time_limit_s: u64) -> Result<Walls, String> {
        for tool in ["/usr/bin/setpriv", "/usr/bin/prlimit", "/usr/bin/env"] {
            if !Path::new(tool).exists() {
                return Err(format!("{tool} is missing"));
            }
        }
        let pythons = ["/usr/bin/python3", "/usr/local/bin/python3"];
        let python = pythons.into_iter().map(PathBuf::from).find(|python| python.exists());
        let python = python.ok_or(format!("no python3 at {}", pythons.join(" or ")))?;
        let id = Command::new("id").arg("-u").output().map_err(|error| format!("`id` does not run: {error}"))?;
        let is_root = id.stdout.trim_ascii() == b"0";
        Ok(Walls { python, is_root, time_limit_s, filter: super::filter::instructions()? })
    }

    /// Namespaces, a session, a process group, and for root a user of the sandbox's own. What is started ends with
    /// the thread that started it.
    /// Of the processor it has so many `seconds`.
    pub(super) fn command(&self, role: &str, seconds: &str) -> Command {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare"]);
        let user = if self.is_root {
            // Processes are counted by user: with one for each sandbox, none can use up another's.
            let nth = STARTED.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(67));
            (FIRST_USER + nth % USERS).to_string()
        } else {
            command.args(["--user", "--map-root-user"]);
            String::new()
        };
        command.args(["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]);
        command.args(["setsid", "sh", "-c", WALLS, "walls"]).arg(&self.python).arg(user);
        command.args([seconds, &MEMORY_BYTES.to_string(), &THREADS.to_string()]);
        command.args([DRIVER, role]);
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A process that can be killed from another thread.
pub(super) type Shared = Arc<Mutex<Child>>;

/// A Python in its sandbox; ends when dropped.
pub(super) struct Interpreter {
    process: Shared,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    errors: ChildStderr,
}

impl Interpreter {
    /// Starts one half of a judgement, `program` or `tests`.
    pub(super) fn start(walls: &Walls, role: &str) -> Result<Interpreter, String> {
        let mut child = walls
            .command(role, &walls.time_limit_s.to_string())
            .spawn()
            .map_err(|error| format!("`setpriv` does not run: {error}"))?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(to), Some(from), Some(errors)) => {
                let mut started =
                    Interpreter { process: Arc::new(Mutex::new(child)), to, from: BufReader::new(from), errors };
                started.send(&format!("{:?}", walls.filter));
                Ok(started)
            }
            _ => Err("a process was started without pipes".to_owned()),
        }
    }

    pub(super) fn process(&self) -> Shared {
        Arc::clone(&self.process)
    }

    /// Sends a line. One that ended cannot be told anything, which [`Interpreter::receive`] notices.
    pub(super) fn send(&mut self, line: &str) {
        drop(self.to.write_all(format!("{line}\n").as_bytes()));
    }

    /// The next line, as its first word and the rest; `None` if the process ended or said more than a line can hold.
    pub(super) fn receive(&mut self) -> Option<(String, String)> {
        let mut line = String::new();
        self.from.by_ref().take(MAX_LINE_BYTES).read_line(&mut line).ok()?;
        let (word, rest) = line.strip_suffix('\n')?.split_once(' ')?;
        Some((word.to_owned(), rest.to_owned()))
    }

    /// Ends it, and says what was wrong with its start.
    pub(super) fn failure(mut self) -> String {
        kill(&self.process);
        let mut bytes = Vec::new();
        drop(self.errors.by_ref().take(MAX_ERROR_BYTES).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).trim().replace('\n', "; ")
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        kill(&self.process);
    }
}

/// Kills a process and with it its namespace, if it has not ended.
fn kill(process: &Shared) {
    let mut child = process.lock().unwrap_or_else(PoisonError::into_inner);
    drop(child.kill());
    drop(child.wait());
}

/// Kills processes when their time is over.
pub(super) struct Watch {
    deadlines: Option<Sender<Instant>>,
    has_ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches processes that may run for `limit` from now.
    pub(super) fn over(processes: [Shared; 2], limit: Duration) -> Watch {
        let (deadlines, changes) = channel();
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&has_ended);
        let mut deadline = Instant::now() + limit;
        let thread = std::thread::spawn(move || {
            loop {
                match changes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(later) => deadline = later,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            ended.store(true, Ordering::SeqCst);
            processes.iter().for_each(kill);
        });
        Watch { deadlines: Some(deadlines), has_ended, thread: Some(thread) }
    }

    /// Lets them run for `limit` from now.
    pub(super) fn renew(&self, limit: Duration) {
        if let Some(deadlines) = &self.deadlines {
            let _ = deadlines.send(Instant::now() + limit);
        }
    }

    /// Whether time ran out.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.deadlines = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
