//! One block from its beginning to the results of all methods.

use super::block::Block;
use super::method::Method;
use super::results::MethodResult;
use super::train::train;
use crate::context::Context;
use crate::contract::MANIFEST;
use crate::run::folder::RunFolder;
use crate::run::round::groups;
use crate::stage::eval;
use crate::stage::policy_source::PolicySource;
use crate::stage::search::{self, Search, SearchManifest};
use anyhow::Result;
use espalier_files::publish_json;
use espalier_settings::Choice;

/// Runs every method of a block that is not done yet; one result a method, in the order of their declaration.
///
/// # Errors
/// What a stage fails with; the stages before it are kept.
pub fn run_block(run: RunFolder, context: &Context) -> Result<Vec<MethodResult>> {
    let block = Block::open(run, context)?;
    let problems = block.sets.of_round(1, context.config.problems.per_round);
    let (policy, trees) = (PolicySource::of_run(&block.policy(Method::Sft), context.config)?, block.trees());
    let searched = search::run(&Search { problems: &problems, policy: &policy, round: 1, out: &trees }, context)?;
    // The control needs to know how long the method that it is compared with trains.
    result(&block, Method::RejectionSft, &searched, context)?;
    Method::values().map(|method| result(&block, method, &searched, context)).collect()
}

fn result(block: &Block, method: Method, searched: &SearchManifest, context: &Context) -> Result<MethodResult> {
    let out = block.method(method);
    // Each of the two stages knows whether it is done; the result only puts theirs together.
    let trained = train(method, block, context)?;
    let title = format!("{}: {}", block.name(), method.name());
    let policy = PolicySource::of_run(&block.policy(method), context.config)?;
    let eval = eval::run(&groups(&block.sets), &policy, None, &out.join("eval.json"), &title, context)?;
    let result = MethodResult {
        method,
        granularity: block.task.granularity(),
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
