//! The problems that a command works on.

use super::choice;
use crate::shown::say;
use anyhow::{Result, bail};
use clap::Args;
use espalier_task::{AnswerKind, Dataset, Problem, Reading, Task, load_dataset, load_problems_as};
use std::path::{Path, PathBuf};

/// Where problems come from.
#[derive(Args, Clone, Debug)]
pub struct ProblemFlags {
    /// Problems: JSONL, a JSON array or Parquet, with a question and its answer in each row; or, with --dataset, the
    /// file or folder that its publisher gives out
    #[arg(long, value_name = "PATH")]
    pub problems: PathBuf,
    /// Read the problems as this published set
    #[arg(long, value_name = "NAME", value_parser = choice::<Dataset>())]
    pub dataset: Option<Dataset>,
    /// Take only the first N problems
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

impl ProblemFlags {
    /// Reads problems that have answers, for a task; the seed draws the order of choices that a publisher leaves open.
    pub fn load(&self, seed: u64, task: &Task) -> Result<Vec<Problem>> {
        self.read(seed, task, false)
    }

    fn read(&self, seed: u64, task: &Task, without_answer: bool) -> Result<Vec<Problem>> {
        if self.limit == Some(0) {
            bail!("--limit is 0, but must be at least 1");
        }
        Ok(match self.dataset {
            Some(dataset) => load_dataset(&self.problems, dataset, self.limit, seed)?,
            None => load(&self.problems, self.limit, task, without_answer)?,
        })
    }

    /// Reads problems that can be searched: with or without an answer, but no programs.
    pub fn load_for_search(&self, seed: u64, task: &Task) -> Result<Vec<Problem>> {
        let problems = self.read(seed, task, true)?;
        if let Some(code) = problems.iter().find(|problem| problem.kind == AnswerKind::Code) {
            bail!("problem {} asks for a program, which can be evaluated but not searched", code.id);
        }
        Ok(problems)
    }
}

/// Reads a file of problems for a task, and says what of it is not used and what is assumed.
pub fn load(path: &Path, limit: Option<usize>, task: &Task, without_answer: bool) -> Result<Vec<Problem>> {
    let reading = Reading { limit, slots: task.slots().keys().cloned().collect(), without_answer };
    let loaded = load_problems_as(path, &reading)?;
    loaded.notices.iter().for_each(|notice| say(format_args!("{notice}")));
    Ok(loaded.problems)
}
