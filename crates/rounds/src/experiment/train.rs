//! How each method makes its policy.

use super::block::Block;
use super::method::Method;
use crate::context::Context;
use crate::stage::pairs;
use crate::stage::train::{TrainManifest, Training};
use anyhow::Result;

/// Trains the method's policy; `None` where there is nothing to train.
pub(super) fn train(method: Method, block: &Block, context: &Context) -> Result<Option<TrainManifest>> {
    let config = context.config;
    let title = format!("{}: {}", block.name(), method.name());
    let work = block.method(method).join("train");
    let out = block.policy(method);
    let start = block.policy(match method {
        Method::Sft | Method::StepApoAlone | Method::FoundSft | Method::MoreSft | Method::RejectionSft => Method::Sft,
        Method::OutcomeDpo | Method::StepDpo | Method::StepApo => Method::RejectionSft,
    });
    let training = Training { title: &title, policy: &start, out: &out, work: &work };
    let prefer = |loss: &str| {
        let mut config = config.clone();
        loss.clone_into(&mut config.prefer.loss);
        config
    };
    let trained = match method {
        Method::Sft => return Ok(None),
        Method::MoreSft => {
            let problems = block.sets.rehearsed().into_iter().cycle().take(block.rejection_examples()?);
            training.sft_on_solutions(&problems.collect::<Vec<_>>(), &config.sft.train, &block.task, context)?
        }
        Method::FoundSft => training.sft_on_trees(&[block.trees()], &[], context)?,
        Method::RejectionSft => training.sft_on_trees(&[block.trees()], &block.sets.rehearsed(), context)?,
        Method::OutcomeDpo => training.prefer_outcomes(&block.trees(), &context.with(&prefer("dpo")))?,
        Method::StepDpo | Method::StepApo | Method::StepApoAlone => {
            let loss = if method == Method::StepDpo { "step_dpo" } else { "step_apo" };
            pairs::run(&block.trees(), &block.pairs(), context)?;
            training.prefer(&block.pairs(), None, &context.with(&prefer(loss)))?
        }
    };
    Ok(Some(trained))
}
