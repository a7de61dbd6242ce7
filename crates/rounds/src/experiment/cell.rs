//! One run of an experiment.

use super::grid::{Alike, Cell};
use super::results::RunResult;
use crate::config::RunConfig;
use crate::context::Context;
use crate::contract::MANIFEST;
use crate::run::folder::RunFolder;
use crate::run::{init, round};
use anyhow::Result;
use espalier_files::{FilesError, Lock};
use std::path::{Path, PathBuf};

/// One cell with one seed.
#[derive(Clone, Debug)]
pub struct CellRun {
    /// The cell's name.
    pub name: String,
    /// The run's folder.
    pub root: PathBuf,
    /// Its configuration.
    pub config: RunConfig,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Ran {
    /// It is done.
    Done(RunResult),
    /// Another process is at it.
    Elsewhere,
}

impl CellRun {
    /// The run of a cell with a seed in the experiment's folder.
    pub fn new(cell: &Cell, seed: u64, out: &Path) -> CellRun {
        // Rows carry one name in all cells, so that equal trees are equal files.
        let config = RunConfig { name: format!("seed-{seed}"), seed, ..cell.config.clone() };
        CellRun { name: cell.name.clone(), root: out.join(cell.folder()).join(format!("seed-{seed}")), config }
    }

    /// Runs what is not done yet. What `others`, runs of the same seed, have done alike is taken from them: problems, warm start,
    /// and the first round's trees where the searches are the same.
    ///
    /// # Errors
    /// What a round fails with; a run that lies there with other settings.
    pub fn run(&self, others: &[CellRun], context: &Context) -> Result<Ran> {
        let _lock = match Lock::acquire(&self.root) {
            Err(FilesError::Locked { .. }) => return Ok(Ran::Elsewhere),
            lock => lock?,
        };
        let context = &context.with(&self.config);
        if self.root.join("config.toml").exists() {
            init::is_there(&self.root, &self.config)?;
        } else if let Some(like) = self.find(others, Alike::Start, "config.toml") {
            init::like(&like.root, &self.root, context)?;
        } else {
            init::generated(&self.root, context)?;
        }
        let run = RunFolder::open(&self.root)?;
        for number in run.finished()?.len() as u32..=self.config.rounds {
            self.adopt(&run, number, others, context)?;
            round::run(&run, number, context)?;
        }
        let rounds = run.finished()?;
        Ok(Ran::Done(RunResult::new(&self.name, self.config.seed, &rounds)))
    }

    /// Another run that has this file and whose settings agree on what is decided by then.
    fn find<'a>(&self, others: &'a [CellRun], alike: Alike, file: &str) -> Option<&'a CellRun> {
        let of = |config: &RunConfig| {
            let mut settings = config.canonical().ok()?;
            settings.retain(|key, _| alike.is_decided_by(key));
            Some(settings)
        };
        let own = of(&self.config)?;
        others.iter().find(|other| {
            other.root != self.root && other.root.join(file).exists() && of(&other.config).as_ref() == Some(&own)
        })
    }

    /// Takes what another run has done alike of a round that is not begun.
    fn adopt(&self, run: &RunFolder, number: u32, others: &[CellRun], context: &Context) -> Result<()> {
        let (alike, part) = match number {
            0 => (Alike::Start, "train/warm_start"),
            1 => (Alike::Trees, "trees"),
            _ => return Ok(()),
        };
        if run.round(number).exists() {
            return Ok(());
        }
        match self.find(others, alike, &format!("round-{number:03}/{part}/{MANIFEST}")) {
            Some(other) => round::adopt(run, &RunFolder::open(&other.root)?, number, part, context),
            None => Ok(()),
        }
    }
}
