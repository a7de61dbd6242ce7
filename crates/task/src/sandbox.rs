//! Running Python that a model wrote, where it can do no harm.
//!
//! ```text
//!  unshare: mounts, network, processes, IPC, host name of its own
//!   └─ sh, first process of its namespace: everything ends with it
//!       ├─ mount: a root in memory, 64 MiB; /usr, /lib, /lib64, /bin in it, read-only
//!       └─ chroot ─► setpriv: no user, no capabilities ─► prlimit: seconds, bytes, processes ─► python3 from stdin
//! ```
//!
//! The tools are util-linux's and coreutils'. Whether the walls hold is not assumed but tried, once, before the first
//! program runs.

use crate::error::TaskError;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longest a program may run, in seconds, of the clock as of the processor.
const TIME_LIMIT_S: u64 = 10;
/// Largest address space of each of its processes, in bytes.
const MEMORY_BYTES: u64 = 1 << 30;
/// Most processes and threads.
const PROCESSES: u32 = 16;
/// Output that is read; what comes after it is lost.
const MAX_OUTPUT_BYTES: u64 = 1 << 16;

/// Arguments: the new root; `user` or `root`, whom the program runs as; the interpreter; the limits.
const WALLS: &str = r#"set -eu
root=$1 as=$2 python=$3 seconds=$4 bytes=$5 processes=$6
mount -t tmpfs -o size=64m,mode=755 tmpfs "$root"
for dir in usr lib lib64 bin; do
    [ -e "/$dir" ] || continue
    mkdir "$root/$dir"
    mount --rbind "/$dir" "$root/$dir"
    mount -o remount,bind,ro "$root/$dir"
done
mkdir -m 1777 "$root/tmp"
mkdir "$root/dev"
touch "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
if [ "$as" = root ]; then
    privileges="--reuid=65534 --regid=65534 --clear-groups"
else
    privileges=""
fi
chroot "$root" /usr/bin/setpriv $privileges --no-new-privs --inh-caps=-all --bounding-set=-all \
    /usr/bin/prlimit --cpu="$seconds" --as="$bytes" --nproc="$processes" --fsize=16777216 --nofile=64 --core=0 \
    /usr/bin/env -i -C /tmp HOME=/tmp PATH=/usr/bin LANG=C.UTF-8 "$python" -I -B -
"#;

/// Tries each wall and names those that give way.
const ATTEMPTS: &str = r#"
import os, socket, time
escaped = []
def attempt(what, act):
    try:
        act()
        escaped.append(what)
    except (OSError, MemoryError):
        pass
def many():
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
attempt("the network", lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.2))
attempt("another host's name", lambda: socket.getaddrinfo("example.org", 80))
attempt("files of this machine", lambda: os.stat(MARKER))
attempt("/etc", lambda: os.listdir("/etc"))
attempt("writing to /usr", lambda: open("/usr/espalier", "w"))
attempt("mounting", lambda: os.chroot("/tmp"))
attempt("memory", lambda: bytearray(1 << 32))
attempt("processes", many)
try:
    socket.create_connection(("192.0.2.1", 80), timeout=0.2)
except OSError as error:
    if isinstance(error, TimeoutError):
        escaped.append("the network")
with open("/tmp/scratch", "w") as file:
    file.write("x")
print("escaped: " + ", ".join(escaped) if escaped else "walls hold")
"#;

/// A place to run Python in that was tried and held.
#[derive(Clone, Debug)]
pub struct Sandbox {
    python: PathBuf,
    is_root: bool,
    time_limit_s: u64,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramEnd {
    /// It ran to its last line.
    Finished,
    /// It raised, exited, was killed for its memory, or could not be parsed; the end of what it wrote to stderr.
    Failed(String),
    /// It was still running after the time limit.
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
        for tool in ["/usr/bin/setpriv", "/usr/bin/prlimit", "/usr/bin/env"] {
            if !Path::new(tool).exists() {
                return Err(format!("{tool} is missing"));
            }
        }
        let pythons = ["/usr/bin/python3", "/usr/local/bin/python3"];
        let python = pythons.into_iter().map(PathBuf::from).find(|python| python.exists());
        let python = python.ok_or(format!("no python3 at {}", pythons.join(" or ")))?;
        let id = Command::new("id").arg("-u").output().map_err(|error| format!("`id` does not run: {error}"))?;
        let sandbox = Sandbox { python, is_root: id.stdout.trim_ascii() == b"0", time_limit_s: TIME_LIMIT_S };
        let marker = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
        let attempts = ATTEMPTS.replace("MARKER", &format!("{:?}", marker.path().to_string_lossy()));
        let (output, errors, _) = sandbox.python(&attempts)?;
        match output.trim() {
            "walls hold" => Ok(sandbox),
            "" => Err(format!("the sandbox does not start: {}", errors.trim().replace('\n', "; "))),
            escaped => Err(format!("the sandbox does not hold ({escaped})")),
        }
    }

    /// Runs a program of nothing but standard Python to its end or for ten seconds at most.
    ///
    /// That it came to its last line is not believed to its exit code, which any line can set, but to a word printed
    /// there that it cannot know.
    ///
    /// # Errors
    /// [`TaskError::Sandbox`] if no process can be started.
    pub fn run(&self, program: &str) -> Result<ProgramEnd, TaskError> {
        let word = format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
        let program = format!("{program}\n\nprint(\"\\n{word}\")\n");
        let ran = self.python(&program).map_err(|reason| TaskError::Sandbox { reason })?;
        Ok(match ran {
            (_, _, true) => ProgramEnd::TimedOut,
            (output, _, false) if output.trim_end().ends_with(&word) => ProgramEnd::Finished,
            (_, errors, false) => {
                let last = errors.trim().lines().next_back().unwrap_or("it ended before its last line");
                ProgramEnd::Failed(last.to_owned())
            }
        })
    }

    /// Output, errors, and whether time ran out.
    fn python(&self, program: &str) -> Result<(String, String, bool), String> {
        let root = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let mut command = Command::new("unshare");
        if !self.is_root {
            command.args(["--user", "--map-root-user"]);
        }
        command.args([
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            WALLS,
            "walls",
        ]);
        command.arg(root.path()).arg(if self.is_root { "root" } else { "user" }).arg(&self.python);
        command.args([self.time_limit_s.to_string(), MEMORY_BYTES.to_string(), PROCESSES.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("`unshare` does not run: {error}"))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let program = program.to_owned();
        // A program that is not read to its end (it failed to start) breaks the pipe: its errors say why.
        let writer = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(program.as_bytes())));
        let output = std::thread::spawn(move || read_some(stdout));
        let errors = std::thread::spawn(move || read_some(stderr));
        let timed_out = ended_by(&mut child, Instant::now() + Duration::from_secs(self.time_limit_s))?;
        drop(writer.join());
        let joined = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
        Ok((joined(output), joined(errors), timed_out))
    }
}

/// Waits for a process and kills it at the deadline; whether that was necessary.
fn ended_by(child: &mut Child, deadline: Instant) -> Result<bool, String> {
    let failed = |error: std::io::Error| format!("a process cannot be waited for: {error}");
    loop {
        if child.try_wait().map_err(failed)?.is_some() {
            return Ok(false);
        }
        if Instant::now() >= deadline {
            child.kill().and_then(|()| child.wait().map(drop)).map_err(failed)?;
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The beginning of a stream; the rest is read and dropped, so that its writer does not wait.
fn read_some(stream: Option<impl Read>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    let read = stream.by_ref().take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
    if read.is_ok() {
        drop(std::io::copy(&mut stream, &mut std::io::sink()));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine without user namespaces there is nothing to test but the refusal.
    fn sandbox() -> Option<Sandbox> {
        match Sandbox::open() {
            Ok(sandbox) => Some(sandbox),
            Err(error) => {
                let message = error.to_string();
                assert!(message.starts_with("code answers cannot be run here: "), "{message}");
                eprintln!("{message}");
                None
            }
        }
    }

    #[test]
    fn programs_end_as_they_should() {
        let Some(sandbox) = sandbox() else { return };
        let failed = |program: &str, reason: &str| match sandbox.run(program).unwrap() {
            ProgramEnd::Failed(message) => assert!(message.contains(reason), "{program}: {message}"),
            other => panic!("{program}: {other:?}"),
        };
        assert_eq!(sandbox.run("import math\nassert math.gcd(4, 6) == 2").unwrap(), ProgramEnd::Finished);
        assert_eq!(sandbox.run("print('x' * 10)").unwrap(), ProgramEnd::Finished);
        failed("assert 1 == 2, 'no'", "AssertionError: no");
        failed("def f(:", "SyntaxError");
        // An exit before the tests is no success, whatever its code.
        failed("import os\nos._exit(0)", "before its last line");
        failed("raise SystemExit(0)", "before its last line");
        failed("open('/etc/passwd')", "FileNotFoundError");
        failed("open('/usr/x', 'w')", "OSError");
        failed("x = bytearray(3 << 30)", "MemoryError");
        failed("import socket\nsocket.create_connection(('192.0.2.1', 80), 1)", "OSError");
        failed("import os\nos.setuid(0)\nos.mkdir('/usr/x')", "Error");
        failed(
            "import os\nfor _ in range(100):\n  if os.fork() == 0:\n    import time; time.sleep(30)",
            "BlockingIOError",
        );
    }

    #[test]
    fn endless_programs_are_killed_with_their_children() {
        let Some(sandbox) = sandbox() else { return };
        let sandbox = Sandbox { time_limit_s: 1, ..sandbox };
        let began = Instant::now();
        let program = "import os, time\nos.fork()\ntime.sleep(1000)";
        assert_eq!(sandbox.run(program).unwrap(), ProgramEnd::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
