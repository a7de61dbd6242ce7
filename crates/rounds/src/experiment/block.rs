//! One block: a warm start and one sample of trees, which all methods share.

use super::method::Method;
use super::results::MethodResult;
use crate::context::Context;
use crate::contract::MANIFEST;
use crate::run::folder::RunFolder;
use crate::run::problems::ProblemSets;
use crate::run::round::{self, groups};
use crate::stage::eval;
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::sampler::PolicySource;
use crate::stage::search::{self, Search, SearchManifest};
use crate::stage::train::TrainManifest;
use anyhow::{Context as _, Result};
use espalier_files::{publish_json, read_json};
use espalier_settings::Choice;
use espalier_task::Prompting;
use std::path::PathBuf;

/// A block's folder: a run whose first round is taken apart.
pub struct Block {
    pub(super) run: RunFolder,
    pub(super) sets: ProblemSets,
    pub(super) prompting: Prompting,
}

impl Block {
    /// The block in a run's folder that `init` made; trains the warm start if that is not done.
    fn open(run: RunFolder, context: &Context) -> Result<Block> {
        round::run(&run, 0, context)?;
        let sets = ProblemSets::read(&run.root().join("problems"))?;
        let policy = PolicyFolder::open(&run.policy(1))?;
        let (format, granularity) = context.config.format_of(policy.prompting());
        Ok(Block { run, sets, prompting: Prompting { format, granularity } })
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

/// Runs every method of a block that is not done yet; one result a method, in the order of their declaration.
///
/// # Errors
/// What a stage fails with; the stages before it are kept.
pub fn run_block(run: RunFolder, context: &Context) -> Result<Vec<MethodResult>> {
    let block = Block::open(run, context)?;
    let problems = block.sets.of_round(1, context.config.problems.per_round);
    let (policy, trees) = (PolicySource::folder(&block.policy(Method::Sft))?, block.trees());
    let searched = search::run(&Search { problems: &problems, policy: &policy, round: 1, out: &trees }, context)?;
    // The control needs to know how long the method that it is compared with trains.
    block.result(Method::RejectionSft, &searched, context)?;
    Method::values().map(|method| block.result(method, &searched, context)).collect()
}

impl Block {
    fn result(&self, method: Method, searched: &SearchManifest, context: &Context) -> Result<MethodResult> {
        let out = self.method(method);
        // Each of the two stages knows whether it is done; the result only puts theirs together.
        let trained = method.train(self, context)?;
        let title = format!("{}: {}", self.name(), method.name());
        let eval = eval::run(&groups(&self.sets), &self.policy(method), &out.join("eval.json"), &title, context)?;
        let result = MethodResult {
            method,
            granularity: self.prompting.granularity,
            seed: context.config.seed,
            examples: trained.as_ref().map_or(0, |trained| trained.examples),
            trained_tokens: trained.as_ref().map_or(0, |trained| trained.summary.tokens),
            sampled_tokens: if method.samples() { searched.tree_tokens } else { 0 },
            wall_s: trained.as_ref().map_or(0.0, |trained| trained.wall_s),
            eval,
        };
        publish_json(&out.join(MANIFEST), &result)?;
        Ok(result)
    }
}
