//! Where a stage's output lies, and which files there are its own.

use anyhow::Result;
use espalier_files::{refuse_existing, remove_file, remove_folder, sweep};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The file whose presence says that a folder is complete.
pub const MANIFEST: &str = "manifest.json";
/// The record of a folder's stage.
pub const RECORD: &str = "stage.json";

/// Where a stage's output lies.
#[derive(Clone, Debug)]
pub struct Place {
    /// What is made: a folder or a file. Its lock is the stage's.
    pub out: PathBuf,
    /// The record, there from the beginning.
    pub record: PathBuf,
    /// The manifest, written last.
    pub manifest: PathBuf,
    /// What serves only to go on after a kill; removed once the manifest is there.
    pub scratch: Vec<PathBuf>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A folder of files, some of them the stage's own by their names.
    Folder { own: fn(&str) -> bool },
    /// A policy's folder, published whole; the record and the manifest lie in a folder of work.
    Policy,
    /// A report; what else the stage writes lies beside it and shares its stem.
    Report,
}

impl Place {
    /// The folder `out`, in which the files are the stage's that `own` takes by their names.
    pub fn folder(out: &Path, own: fn(&str) -> bool, scratch: &[PathBuf]) -> Place {
        Place {
            out: out.to_owned(),
            record: out.join(RECORD),
            manifest: out.join(MANIFEST),
            scratch: scratch.to_vec(),
            kind: Kind::Folder { own },
        }
    }

    /// The policy `out`, made with metrics and states in the folder `work`.
    pub fn policy(out: &Path, work: &Path, scratch: &[PathBuf]) -> Place {
        Place {
            out: out.to_owned(),
            record: work.join(RECORD),
            manifest: work.join(MANIFEST),
            scratch: scratch.to_vec(),
            kind: Kind::Policy,
        }
    }

    /// The report `out`, a file.
    pub fn report(out: &Path) -> Place {
        Place {
            out: out.to_owned(),
            record: out.with_extension(RECORD),
            manifest: out.to_owned(),
            scratch: vec![out.with_extension("journal")],
            kind: Kind::Report,
        }
    }

    /// Whether the output is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.manifest.exists() && self.out.exists()
    }

    /// Something that lies at the place of an output that has no record.
    pub(super) fn stranger(&self) -> Result<Option<PathBuf>> {
        match self.kind {
            Kind::Folder { .. } if self.out.is_dir() => {
                let visible = |name: &OsString| !name.to_string_lossy().starts_with('.');
                let mut names =
                    fs::read_dir(&self.out)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
                names.retain(visible);
                names.sort();
                Ok(names.first().map(|name| self.out.join(name)))
            }
            _ => {
                let own = [&self.out, &self.manifest].into_iter().chain(&self.scratch);
                Ok(own.into_iter().find(|path| path.exists()).cloned())
            }
        }
    }

    /// Removes what killed processes left unpublished.
    pub(super) fn sweep(&self) -> Result<()> {
        let files = [&self.out, &self.record, &self.manifest];
        files.into_iter().try_for_each(|path| sweep(path))?;
        match (self.kind, self.record.parent()) {
            (Kind::Policy, Some(work)) => sweep(work)?,
            (Kind::Report, _) => sweep(&self.samples())?,
            _ => {}
        }
        Ok(())
    }

    /// Where a report's samples lie.
    fn samples(&self) -> PathBuf {
        self.out.with_extension("samples.parquet")
    }

    /// Removes what the stage made, for `--overwrite`, and nothing else. A policy stays until another is published over it.
    pub(super) fn clear(&self) -> Result<()> {
        remove_file(&self.manifest)?;
        for path in &self.scratch {
            remove(path)?;
        }
        match self.kind {
            Kind::Folder { own } => {
                for entry in fs::read_dir(&self.out)? {
                    let name = entry?.file_name();
                    if name.to_str().is_some_and(own) {
                        remove(&self.out.join(name))?;
                    }
                }
            }
            Kind::Report => remove_file(&self.samples())?,
            Kind::Policy => {
                for name in ["metrics.jsonl", "tb", "adapter"] {
                    remove(&self.record.with_file_name(name))?;
                }
            }
        }
        remove_file(&self.record).map_err(Into::into)
    }

    /// Takes back a record to which nothing came, with the folder that was made for it.
    pub(super) fn forget(&self) -> Result<()> {
        let Some(folder) = self.record.parent() else { return Ok(()) };
        let is_bare = match self.kind {
            Kind::Report => ![&self.out, &self.samples()].into_iter().chain(&self.scratch).any(|path| path.exists()),
            Kind::Folder { .. } | Kind::Policy => fs::read_dir(folder)?.count() == 1,
        };
        if is_bare {
            remove_file(&self.record)?;
            if !matches!(self.kind, Kind::Report) {
                // Another process may have put something there in between; then the folder stays.
                let _ = fs::remove_dir(folder);
            }
        }
        Ok(())
    }

    /// Makes sure that a policy that is there already is this stage's own, as the record in it says.
    pub(super) fn check_published(&self, is_own: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
        if matches!(self.kind, Kind::Policy) && self.out.exists() && !is_own(&self.out.join(RECORD))? {
            refuse_existing(&self.out)?;
        }
        Ok(())
    }
}

/// Removes a file or a folder that may not be there.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { remove_folder(path) } else { remove_file(path) };
    Ok(removed?)
}
