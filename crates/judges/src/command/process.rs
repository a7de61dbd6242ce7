//! One process of a judge: a line in, a line out, within bounds.

use super::watch::Watch;
use super::wire::{line, read, shown};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest line that is taken; a process that says more at once is ended.
const MAX_LINE_BYTES: usize = 1 << 20;
/// How much is read at a time.
const READ_BYTES: usize = 1 << 14;
/// How much of what it says on its standard error is kept.
const KEPT_ERROR_BYTES: usize = 1 << 9;

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The process ended, maybe before it read the question.
    Died(String),
    /// The process is of no more use.
    Ended(String),
    /// It answered something else.
    Nonsense(String),
}

/// A running process, with its group; ends when dropped.
pub(super) struct Process {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    errors: Option<ChildStderr>,
    watch: Arc<Watch>,
    /// What it is told and has not read yet.
    unsent: Vec<u8>,
    /// What it said and was not read yet.
    said: Vec<u8>,
    /// The end of what it said on its standard error.
    last_errors: Vec<u8>,
    first_id: u64,
    next_id: u64,
    /// Whether it has answered a question, and so has begun.
    pub has_answered: bool,
}

impl Process {
    /// Starts a command, in a group of its own, which is told `first` before the first question.
    pub fn start(mut command: Command, first: String, watch: &Arc<Watch>) -> std::io::Result<Process> {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), errors) = pipes else {
            return Err(std::io::Error::other("a process was started without pipes"));
        };
        // Ids that no text of a model can know, as far as any language holds integers exactly.
        let first_id = RandomState::new().build_hasher().finish() >> 13;
        let process = Process {
            child,
            to,
            from,
            errors,
            watch: Arc::clone(watch),
            unsent: first.into_bytes(),
            said: Vec::new(),
            last_errors: Vec::new(),
            first_id,
            next_id: first_id,
            has_answered: false,
        };
        if !process.watch.add(process.child.id()) {
            return Err(std::io::Error::other("the watch over it is gone"));
        }
        let fds = [Some(process.to.as_fd()), Some(process.from.as_fd()), process.errors.as_ref().map(AsFd::as_fd)];
        for fd in fds.into_iter().flatten() {
            fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
        }
        Ok(process)
    }

    /// Asks a question, and waits so long for its answer.
    pub fn ask(&mut self, body: &str, limit: Duration) -> Result<Option<f32>, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        self.unsent.extend(line(id, body).bytes());
        let deadline = Instant::now() + limit;
        loop {
            while let Some(end) = self.said.iter().position(|&byte| byte == b'\n') {
                let said: Vec<u8> = self.said.drain(..=end).collect();
                if said.trim_ascii().is_empty() {
                    continue;
                }
                let score = match read(said.trim_ascii()) {
                    // An answer that comes late: its question has been given up.
                    Ok((said_id, _)) if (self.first_id..id).contains(&said_id) => continue,
                    Ok((said_id, score)) if said_id == id => score,
                    Ok(_) => Err(format!("it said {}, which answers no question", shown(said.trim_ascii()))),
                    Err(problem) => Err(problem),
                };
                self.has_answered = true;
                return score.map_err(|problem| {
                    // What stands beside nonsense is no better.
                    self.said.clear();
                    Failure::Nonsense(problem)
                });
            }
            if self.said.len() > MAX_LINE_BYTES {
                return Err(Failure::Ended(format!("it wrote a line of more than {} MiB", MAX_LINE_BYTES >> 20)));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Ended(format!("it did not answer within {} s", limit.as_secs_f64())));
            }
            self.wait(left)?;
        }
    }

    /// Waits until something can be read or written, and does so.
    fn wait(&mut self, left: Duration) -> Result<(), Failure> {
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut fds = vec![PollFd::new(&self.from, PollFlags::IN)];
        if let Some(errors) = &self.errors {
            fds.push(PollFd::new(errors, PollFlags::IN));
        }
        if !self.unsent.is_empty() {
            fds.push(PollFd::new(&self.to, PollFlags::OUT));
        }
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::Died(error.to_string())),
        }
        let mut bytes = [0; READ_BYTES];
        if let Some(errors) = &mut self.errors {
            match take(errors, &mut bytes) {
                Taken::Nothing => {}
                Taken::Bytes(count) => {
                    self.last_errors.extend(&bytes[..count]);
                    let old = self.last_errors.len().saturating_sub(KEPT_ERROR_BYTES);
                    self.last_errors.drain(..old);
                }
                Taken::End => self.errors = None,
            }
        }
        match take(&mut self.from, &mut bytes) {
            Taken::Nothing => {}
            Taken::Bytes(count) => self.said.extend(&bytes[..count]),
            Taken::End => return Err(Failure::Died(self.obituary())),
        }
        if !self.unsent.is_empty() {
            match self.to.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // Its last words may be on their way.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.unsent.clear(),
                Err(error) => return Err(Failure::Died(error.to_string())),
            }
        }
        Ok(())
    }

    /// How it ended, with its last words.
    fn obituary(&mut self) -> String {
        if let Some(errors) = &mut self.errors {
            let mut bytes = [0; READ_BYTES];
            if let Taken::Bytes(count) = take(errors, &mut bytes) {
                self.last_errors.extend(&bytes[..count]);
            }
        }
        self.kill();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let words = String::from_utf8_lossy(&self.last_errors);
        let last = words.trim().lines().last().unwrap_or_default().trim();
        let said = if last.is_empty() { String::new() } else { format!(", and said {}", shown(last.as_bytes())) };
        format!("it ended ({status}){said}")
    }

    fn kill(&self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        drop(self.child.kill());
        drop(self.child.wait());
        self.watch.remove(self.child.id());
    }
}

enum Taken {
    Nothing,
    Bytes(usize),
    End,
}

fn take(from: &mut impl Read, bytes: &mut [u8]) -> Taken {
    match from.read(bytes) {
        Ok(0) => Taken::End,
        Ok(count) => Taken::Bytes(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Taken::Nothing,
        Err(_) => Taken::End,
    }
}
