//! One block: a warm start and one sample of trees, which all methods share.

use super::method::Method;
use crate::context::Context;
use crate::contract::MANIFEST;
use crate::run::folder::RunFolder;
use crate::run::problems::ProblemSets;
use crate::run::round;
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::train::TrainManifest;
use anyhow::{Context as _, Result};
use espalier_files::read_json;
use espalier_task::Task;
use std::path::PathBuf;

/// A block's folder: a run whose first round is taken apart.
pub struct Block {
    pub(super) run: RunFolder,
    pub(super) sets: ProblemSets,
    pub(super) task: Task,
}

impl Block {
    /// The block in a run's folder that `init` made; trains the warm start if that is not done.
    pub(super) fn open(run: RunFolder, context: &Context) -> Result<Block> {
        round::run(&run, 0, context)?;
        let sets = ProblemSets::read(&run.root().join("problems"))?;
        let policy = PolicyFolder::open(&run.policy(1))?;
        let task = context.config.task_of(policy.prompting())?;
        Ok(Block { run, sets, task })
    }

    /// The folder's name.
    pub fn name(&self) -> String {
        self.run.root().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The trees that all methods learn from.
    pub(super) fn trees(&self) -> PathBuf {
        self.run.round(1).join("trees")
    }

    /// The step pairs of the trees.
    pub(super) fn pairs(&self) -> PathBuf {
        self.run.round(1).join("pairs")
    }

    /// What a method writes.
    pub(super) fn method(&self, method: Method) -> PathBuf {
        self.run.root().join("methods").join(method.name())
    }

    /// A method's policy.
    pub(super) fn policy(&self, method: Method) -> PathBuf {
        if method == Method::Sft { self.run.policy(1) } else { self.method(method).join("policy") }
    }

    /// Examples that `RejectionSft` trained on, or will.
    pub(super) fn rejection_examples(&self) -> Result<usize> {
        let manifest: TrainManifest = read_json(&self.method(Method::RejectionSft).join("train").join(MANIFEST))
            .context("rejection_sft comes before more_sft")?;
        Ok(manifest.examples)
    }
}
