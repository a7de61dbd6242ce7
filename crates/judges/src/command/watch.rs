//! A process that ends the judges' processes when this one is gone, however it went.
//!
//! ```text
//!   this process ──pipe──► sh: notes which groups run; the pipe closes ──► KILL to each of them
//! ```

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Reads `+ GROUP` and `- GROUP`, and at the end kills those that are left.
const WATCH: &str = r#"trap '' TERM INT HUP
live=" "
while read -r sign group; do
    case $sign in
        +) live="$live$group " ;;
        *) case $live in *" $group "*) live="${live%%" $group "*} ${live#*" $group "}" ;; esac ;;
    esac
done
for group in $live; do kill -s KILL -- "-$group" 2>/dev/null; done
exit 0"#;

/// The watch over the processes of one judge.
#[derive(Debug)]
pub(super) struct Watch {
    state: Mutex<Option<(Child, ChildStdin)>>,
}

impl Watch {
    pub fn start() -> std::io::Result<Watch> {
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCH]).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = watch.spawn()?;
        let pipe = child.stdin.take().ok_or_else(|| std::io::Error::other("a process was started without pipes"))?;
        Ok(Watch { state: Mutex::new(Some((child, pipe))) })
    }

    /// Notes a group of processes; whether it is watched.
    pub fn add(&self, group: u32) -> bool {
        self.note('+', group)
    }

    /// Forgets a group that is gone.
    pub fn remove(&self, group: u32) {
        self.note('-', group);
    }

    fn note(&self, sign: char, group: u32) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.as_mut().is_some_and(|(_, pipe)| writeln!(pipe, "{sign} {group}").is_ok())
    }

    /// Kills all that are noted, and watches no more.
    pub fn end(&self) {
        let ended = self.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, pipe)) = ended {
            drop(pipe);
            drop(child.wait());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}
