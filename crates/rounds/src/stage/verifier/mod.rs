//! A verifier: made of stored trees, measured on trees that it was not made of, asked about sampled answers.
//!
//! ```text
//!   trees ──┬─► siblings (material) ─► training ─► verifier ─┬─► report (measure, ablation)
//!           └─► held-out problems ───────────────────────────┤
//!   sampled answers ─► states after their steps (answers) ───┴─► scores
//! ```

mod ablation;
pub mod answers;
mod material;
mod measure;
pub mod report;

pub use measure::Section;

use crate::config::RunConfig;
use crate::context::Context;
use crate::stage::shards::is_part;
use crate::stage::train::{TrainManifest, TrainResult, Training, deciding};
use anyhow::{Context as _, Result, bail};
use espalier_files::hash_path;
use espalier_model::Transformer;
use espalier_tokenizer::Tokenizer;
use espalier_trainer::VerifierRules;
use material::HeldOut;
use std::path::{Path, PathBuf};

/// The trees that a verifier is made of, and those that it is measured on.
#[derive(Clone, Copy, Debug)]
pub struct VerifierTrees<'a> {
    /// Folders of stored trees.
    pub trees: &'a [PathBuf],
    /// Trees of problems that are held out; else a share of the problems of `trees` is.
    pub held_out: Option<&'a Path>,
    /// More trees to be measured on, those of the newest policy say.
    pub also: Option<&'a Path>,
}

impl Training<'_> {
    /// Makes a verifier of the policy by the siblings of stored trees, but for those of held-out problems.
    pub fn verifier(&self, material: VerifierTrees, context: &Context) -> Result<TrainManifest> {
        let settings = &context.config.verifier;
        let mut identity = self.identity("verifier", context.config)?.setting(
            "verifier",
            &deciding(settings)?,
            &deciding(&RunConfig::default().verifier)?,
        )?;
        for (at, folder) in material.trees.iter().enumerate() {
            identity = identity.input(&format!("trees {}", at + 1), hash_path(folder, is_part)?);
        }
        if let Some(folder) = material.held_out {
            identity = identity.input("held-out trees", hash_path(folder, is_part)?);
        }
        let examples = |_: &Transformer, _: &Tokenizer| {
            let held_out = HeldOut::new(material.held_out, context.config)?;
            let examples = material::examples(material.trees, &held_out, settings)?;
            // Of nothing no verifier comes, where a policy would stay as it is.
            if examples.is_empty() {
                bail!(
                    "no state in the trees has steps to compare: the rule {} takes no pair of the problems that are not held \
                     out; search more, or choose another --rule",
                    settings.pairs.rule
                );
            }
            Ok(examples)
        };
        let rules = VerifierRules {
            heads: settings.heads,
            trunk: settings.trunk,
            objective: settings.objective,
            regression_weight: settings.regression_weight,
            seed: context.config.seed,
        };
        self.run(identity, None, &settings.train, context, examples, |trainer, examples| {
            Ok(TrainResult::of(trainer.verifier(&examples, rules).context("the training of the verifier stopped")?))
        })
    }
}
