//! One run of an experiment.

use super::grid::{Cell, learns};
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

    /// Runs what is not done yet. What `others`, runs of the same seed, have done alike is taken from them: the warm start,
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
        } else if let Some(like) =
            others.iter().find(|other| self.begins_like(other) && other.root != self.root && other.has_begun())
        {
            init::like(&like.root, &self.root, context)?;
        } else {
            init::generated(&self.root, context)?;
        }
        let run = RunFolder::open(&self.root)?;
        for number in run.finished()?.len() as u32..=self.config.rounds {
            if number <= 1 {
                self.adopt(&run, number, others, context)?;
            }
            round::run(&run, number, context)?;
        }
        Ok(Ran::Done(self.result()?))
    }

    /// What the finished rounds came to.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn result(&self) -> Result<RunResult> {
        let rounds = RunFolder::open(&self.root)?.finished()?;
        Ok(RunResult::new(&self.name, self.config.seed, &rounds))
    }

    /// Whether the first policy has been published.
    fn has_begun(&self) -> bool {
        self.root.join("config.toml").exists()
    }

    /// Whether all settings are equal that decide problems, warm start and the first trees.
    fn begins_like(&self, other: &CellRun) -> bool {
        let of = |config: &RunConfig| {
            let mut settings = config.canonical().ok()?;
            settings.retain(|key, _| !learns(key) || key.starts_with("rounds"));
            Some(settings)
        };
        of(&self.config).is_some_and(|own| of(&other.config) == Some(own))
    }

    /// Takes what a run that began alike has finished of a round's beginning.
    fn adopt(&self, run: &RunFolder, number: u32, others: &[CellRun], context: &Context) -> Result<()> {
        let parts = if number == 0 {
            vec!["train/warm_start", "eval.json", "eval.stage.json", "eval.samples.parquet"]
        } else {
            vec!["trees"]
        };
        let done = |other: &&CellRun| {
            let round = other.root.join(format!("round-{number:03}"));
            let is_done = if number == 0 { round.join(MANIFEST) } else { round.join("trees").join(MANIFEST) };
            self.begins_like(other) && other.root != self.root && is_done.exists()
        };
        if run.round(number).exists() {
            return Ok(());
        }
        let Some(other) = others.iter().find(done) else { return Ok(()) };
        let from = RunFolder::open(&other.root)?;
        round::adopt(run, &from, number, &parts, context)
    }
}
