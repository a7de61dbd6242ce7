//! The command that serves one policy: started when the policy is asked first, ended when it has answered.
//!
//! ```text
//!   this process ──pipe──► sh: waits until the pipe closes ──► TERM to its process group
//!                            └─ sh -c COMMAND ──► vLLM, llama-server, a job of a cluster, ..
//! ```
//! The pipe closes whenever this process ends, also by a kill, so that no server of an old policy is left behind.

use anyhow::{Context, Result, bail};
use espalier_server::Servers;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs the command given as its argument in the background, and ends the whole group when the standard input closes; a
/// command that ends by itself takes the group with it, which tells that it failed.
const WATCH: &str = r#"(sh -c "$1" </dev/null; kill -s KILL 0) & trap : TERM; read -r line; kill -s TERM 0; exit 0"#;

/// Looks again after so long.
const EVERY: Duration = Duration::from_millis(100);

/// Servers that are told to end have so long to do so.
const GRACE: Duration = Duration::from_secs(30);

/// A running command.
pub(super) struct Serving {
    watch: Child,
    /// Held open while the servers are to run.
    pipe: Option<ChildStdin>,
}

impl Serving {
    /// Starts `command` with `$POLICY`, and waits until one of the servers can be reached. What the command prints goes to
    /// the file beside the policy that is named in errors.
    ///
    /// # Errors
    /// A server that is there already, which would answer for another policy; a command that ends, or serves nothing
    /// within `patience`.
    pub(super) fn start(command: &str, policy: &Path, servers: &Servers, patience: Duration) -> Result<Serving> {
        if let Some(url) = servers.reachable() {
            bail!(
                "something answers at {url} before serving.command was run; end it, since it may serve another policy"
            );
        }
        let path = log_beside(policy);
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        let policy = std::path::absolute(policy).context("the current folder is gone")?;
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCH, "sh", command]).env("POLICY", policy).process_group(0);
        watch.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut watch = watch.spawn().context("cannot start a shell for serving.command")?;
        let pipe = watch.stdin.take();
        let mut serving = Serving { watch, pipe };
        let began = Instant::now();
        while servers.reachable().is_none() {
            if serving.watch.try_wait()?.is_some() {
                bail!("serving.command ended before it served; what it printed is in {}", path.display());
            }
            if began.elapsed() > patience {
                let seconds = patience.as_secs();
                bail!("serving.command served nothing within {seconds} s; what it printed is in {}", path.display());
            }
            std::thread::sleep(EVERY);
        }
        Ok(serving)
    }

    /// Sends a signal to all processes of the group; whether there were any.
    fn signal(&self, name: &str) -> bool {
        let group = format!("-{}", self.watch.id());
        let sent = Command::new("sh").args(["-c", r#"kill -s "$1" -- "$2" 2>/dev/null"#, "sh", name, &group]).status();
        sent.is_ok_and(|status| status.success())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // A shell that cannot be waited for is gone.
        let _ = self.watch.wait();
        let began = Instant::now();
        while self.signal("0") {
            if began.elapsed() > GRACE {
                self.signal("KILL");
            }
            std::thread::sleep(EVERY);
        }
    }
}

/// Where the output of the servers of a policy goes.
fn log_beside(policy: &Path) -> PathBuf {
    let mut name = policy.file_name().unwrap_or_default().to_owned();
    name.push(".serving.log");
    policy.with_file_name(name)
}
