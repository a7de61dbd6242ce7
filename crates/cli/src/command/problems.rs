//! The problems that a command works on.

use super::choice;
use anyhow::{Result, bail};
use clap::Args;
use espalier_task::{AnswerKind, Dataset, Problem, load_dataset, load_problems};
use std::path::PathBuf;

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
    /// Reads the problems; the seed draws the order of choices that a publisher leaves open.
    pub fn load(&self, seed: u64) -> Result<Vec<Problem>> {
        if self.limit == Some(0) {
            bail!("--limit is 0, but must be at least 1");
        }
        Ok(match self.dataset {
            Some(dataset) => load_dataset(&self.problems, dataset, self.limit, seed)?,
            None => load_problems(&self.problems, self.limit)?,
        })
    }

    /// Reads problems whose answers can be boxed, as a search needs them.
    pub fn load_for_search(&self, seed: u64) -> Result<Vec<Problem>> {
        let problems = self.load(seed)?;
        if let Some(code) = problems.iter().find(|problem| problem.kind == AnswerKind::Code) {
            bail!("problem {} asks for a program, which can be evaluated but not searched", code.id);
        }
        Ok(problems)
    }
}
