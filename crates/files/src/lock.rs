//! One process an output.

use crate::error::FilesError;
use crate::publish::parent;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The right to write an output, file or folder, until it is dropped. The operating system takes it back from a process that
/// dies, however it dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock of `out`, which need not exist: a hidden file beside it that names this process.
    ///
    /// # Errors
    /// [`FilesError::Locked`] while another process has it.
    pub fn acquire(out: &Path) -> Result<Lock, FilesError> {
        let path = lock_path(out);
        let folder = parent(&path);
        fs::create_dir_all(folder).map_err(FilesError::write(folder))?;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(FilesError::write(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    // The holder may be about to write its name.
                    let _ = file.read_to_string(&mut holder);
                    let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                    return Err(FilesError::Locked { path: out.to_owned(), holder });
                }
                Err(TryLockError::Error(error)) => return Err(FilesError::write(&path)(error)),
            }
            // The last holder may have removed the file between its opening and its locking.
            if !is_at(&file, &path) {
                continue;
            }
            let write = |file: &mut File| {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(this_process().as_bytes())
            };
            write(&mut file).map_err(FilesError::write(&path))?;
            return Ok(Lock { path, file });
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is held, so that no other process's file is removed.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Whether the path still names this open file.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (open, named) = (file.metadata().map(identity), fs::metadata(path).map(identity));
        matches!((open, named), (Ok(open), Ok(named)) if open == named)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

fn lock_path(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!(".{name}.lock"))
}

/// `process 123 on HOST (mcts-gen search --out ...)`.
fn this_process() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "this machine" } else { host.trim() };
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let command: Vec<String> = std::iter::once(program).chain(words).collect();
    let command: String = command.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    format!("process {} on {host} ({command})", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("trees");
        let lock = Lock::acquire(&out).unwrap();
        let error = Lock::acquire(&out).unwrap_err().to_string();
        assert!(error.contains(&format!("trees is being written by process {}", std::process::id())), "{error}");
        assert!(Lock::acquire(&folder.path().join("pairs")).is_ok(), "another output is free");
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        assert!(Lock::acquire(&out).is_ok());
    }

    #[test]
    fn of_many_at_once_one_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(lock) = Lock::acquire(&out) {
                            assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(!lock_path(&out).exists());
    }
}
