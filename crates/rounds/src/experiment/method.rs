//! The methods and how each makes its policy.

use super::block::Block;
use crate::context::Context;
use crate::stage::pairs;
use crate::stage::train::{TrainManifest, Training};
use anyhow::Result;
use espalier_settings::choices;

choices! {
    /// A way to learn from a block's worked solutions and trees. A method comes after the one that it starts from.
    #[derive(PartialOrd, Ord)]
    pub enum Method {
        /// The warm start as it is.
        Sft = "sft",
        /// From the warm start, with no supervised training between: Step-APO on sibling steps.
        StepApoAlone = "step_apo_alone",
        /// Supervised training on the correct paths of the trees alone, as CPL has it.
        FoundSft = "found_sft",
        /// The control: as many further optimiser steps as `RejectionSft` takes, on worked solutions with the right answer only.
        MoreSft = "more_sft",
        /// Supervised training on the worked solutions with the right answer and on the correct paths of the trees.
        RejectionSft = "rejection_sft",
        /// After `RejectionSft`: DPO on whole correct against whole wrong paths of the trees.
        OutcomeDpo = "outcome_dpo",
        /// After `RejectionSft`: Step-DPO on sibling steps.
        StepDpo = "step_dpo",
        /// After `RejectionSft`: Step-APO on sibling steps.
        StepApo = "step_apo",
    }
}

impl Method {
    /// Whether the method learns from trees.
    pub(super) fn samples(self) -> bool {
        !matches!(self, Method::Sft | Method::MoreSft)
    }

    /// Trains the method's policy; `None` where there is nothing to train.
    pub(super) fn train(self, block: &Block, context: &Context) -> Result<Option<TrainManifest>> {
        let config = context.config;
        let title = format!("{}: {}", block.name(), self.name());
        let work = block.method(self).join("train");
        let out = block.policy(self);
        let start = block.policy(match self {
            Method::Sft | Method::StepApoAlone | Method::FoundSft | Method::MoreSft | Method::RejectionSft => {
                Method::Sft
            }
            Method::OutcomeDpo | Method::StepDpo | Method::StepApo => Method::RejectionSft,
        });
        let training = Training { title: &title, policy: &start, out: &out, work: &work };
        let prefer = |loss: &str| {
            let mut config = config.clone();
            loss.clone_into(&mut config.prefer.loss);
            config
        };
        let trained = match self {
            Method::Sft => return Ok(None),
            Method::MoreSft => {
                let problems = block.sets.rehearsed().into_iter().cycle().take(block.rejection_examples()?);
                training.sft_on_solutions(&problems.collect::<Vec<_>>(), &config.sft.train, block.prompting, context)?
            }
            Method::FoundSft => training.sft_on_trees(&[block.trees()], &[], context)?,
            Method::RejectionSft => training.sft_on_trees(&[block.trees()], &block.sets.rehearsed(), context)?,
            Method::OutcomeDpo => training.prefer_outcomes(&block.trees(), &context.with(&prefer("dpo")))?,
            Method::StepDpo | Method::StepApo | Method::StepApoAlone => {
                let loss = if self == Method::StepDpo { "step_dpo" } else { "step_apo" };
                pairs::run(&block.trees(), &block.pairs(), context)?;
                training.prefer(&block.pairs(), None, &context.with(&prefer(loss)))?
            }
        };
        Ok(Some(trained))
    }
}
