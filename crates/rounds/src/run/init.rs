//! The beginning of a run: its folder, with its problems, its configuration and the policy it starts from.

use crate::config::RunConfig;
use crate::context::Context;
use crate::run::folder::RunFolder;
use crate::run::problems::ProblemSets;
use crate::stage::policy_folder::{PROMPTING, PolicyFolder};
use crate::stage::policy_model::{self, Published};
use crate::stage::tasks::filled;
use anyhow::{Result, bail};
use espalier_files::{Existing, copy_files, copy_whole, publish_folder, publish_json};
use espalier_model::{ModelConfig, Transformer};
use espalier_settings::deviations;
use espalier_task::Problem;
use espalier_tokenizer::Tokenizer;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Makes a run of generated problems and a fresh policy.
///
/// # Errors
/// A folder that is there already, or cannot be written.
pub fn generated(out: &Path, context: &Context) -> Result<()> {
    let sets = ProblemSets::generated(context.config)?;
    publish(out, &sets, context, |folder| fresh_policy(folder, &sets, context.config))
}

/// Makes a run of given problems, from another program's policy.
///
/// # Errors
/// A policy that cannot be loaded; a folder that is there already, or cannot be written.
pub fn from_policy(out: &Path, policy: &Path, sets: &ProblemSets, context: &Context) -> Result<()> {
    publish(out, sets, context, |folder| copy_policy(policy, folder, context.config))
}

/// Makes a run with the problems and the first policy of another, whose settings may differ in what is learnt.
///
/// # Errors
/// A folder that is there already, or cannot be written.
pub(crate) fn like(other: &Path, out: &Path, context: &Context) -> Result<()> {
    let other = RunFolder::open(other)?;
    let sets = ProblemSets::read(&other.root().join("problems"))?;
    publish(out, &sets, context, |folder| Ok(copy_whole(&other.policy(0), folder)?))
}

/// Makes sure that a run that is there already is the one that the configuration describes.
///
/// # Errors
/// The first key that differs, with both values.
pub fn is_there(out: &Path, config: &RunConfig) -> Result<()> {
    let folder = RunFolder::open(out)?;
    let found = folder.config()?;
    if config.task.is_some() {
        let stored = PolicyFolder::open(&folder.policy(0))?.prompting().cloned();
        if stored != Some(config.task_of(None)?.prompting()) {
            bail!("{} holds a run of another task; choose another --out or remove it", out.display());
        }
    }
    let differing = deviations(&found, &RunConfig { task: None, ..config.clone() })?;
    if let Some((key, value)) = differing.iter().find(|(key, _)| !key.starts_with("runtime.")) {
        bail!(
            "{} holds a run of another configuration: {key} is {value} there; choose another --out or remove it",
            out.display()
        );
    }
    Ok(())
}

fn publish(out: &Path, sets: &ProblemSets, context: &Context, policy: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    context.observer.began("init", 0);
    publish_folder(out, Existing::Refused, |folder| {
        sets.write(&folder.join("problems"))?;
        policy(&folder.join("policy-000"))?;
        // The policy has it: the run does not depend on where the file was.
        RunConfig { task: None, ..context.config.clone() }.store(folder)
    })?;
    context.observer.finished(&format!(
        "{} problems to search, {} held out, {} out of domain, {} worked",
        sets.search.len(),
        sets.held_out.len(),
        sets.out_of_domain.len(),
        sets.warm_start.len()
    ));
    Ok(())
}

/// A fresh policy, its tokenizer trained on the worked problems.
fn fresh_policy(out: &Path, sets: &ProblemSets, config: &RunConfig) -> Result<()> {
    let task = config.task_of_start(None)?;
    let no_words = || bail!("the task {} is a conversation, but a fresh policy has no chat template", task.name());
    let filled = filled(&task, config, no_words)?;
    let text = |problem: &Problem| -> Result<String> {
        let steps = problem.solution.iter().flat_map(|worked| filled.segments(worked));
        Ok(filled.prompt(problem)? + &steps.collect::<String>())
    };
    let texts = sets.warm_start.iter().map(text).collect::<Result<Vec<_>>>()?;
    let tokenizer = Tokenizer::train_bpe(texts, config.model.vocab_size, &filled.tags())?;
    let shape = &config.model;
    let model = ModelConfig::llama(
        tokenizer.vocab_size(),
        shape.hidden_size,
        shape.intermediate_size,
        shape.layers,
        shape.heads,
        shape.kv_heads,
        shape.context,
    )?;
    let model = Transformer::init(&model, config.seed, tch::Device::Cpu)?;
    let prompting = Some(task.prompting());
    policy_model::save(out, Existing::Refused, &model, &tokenizer, &Published { prompting, ..Published::default() })
}

/// Another program's policy, with its own tokenizer files as they are.
fn copy_policy(source: &Path, out: &Path, config: &RunConfig) -> Result<()> {
    // Loading proves that the folder is whole before anything depends on it.
    PolicyFolder::open(source)?.load(config)?;
    fs::create_dir(out)?;
    copy_files(source, out)?;
    if config.task.is_some() {
        let task = config.task_of(None)?;
        filled(&task, config, || Tokenizer::load(out).map(Arc::new).map_err(Into::into))?;
        publish_json(&out.join(PROMPTING), &task.prompting())?;
    }
    Ok(())
}
