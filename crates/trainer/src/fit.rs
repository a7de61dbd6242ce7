//! The one way from examples to a trained model, which all trainings share.

use crate::check::{Checked, Limits, SkippedRow, sift};
use crate::error::at;
use crate::fingerprint::{Hashed, fingerprint};
use crate::learner::Learner;
use crate::metrics::Observer;
use crate::resume::Identity;
use crate::run::{Run, TrainSummary};
use crate::weights::{self, Masters};
use crate::{TrainConfig, TrainerError};
use espalier_model::Transformer;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

/// A model and how it is trained; each method is one kind of training.
///
/// Metrics and the state to resume from go to `folder`. A training that was interrupted continues when the same method is
/// called again with the same arguments, and ends with the same bits. Examples that cannot be trained on are skipped and
/// listed in the summary. The model is left in float32, whatever it was trained in. With LoRA the adapters are saved to
/// `folder/adapter` and merged into it.
pub struct Trainer<'a> {
    /// The model to train; as it is given, it is the reference of a preference training.
    pub model: &'a mut Transformer,
    /// How fast, how long and in which order.
    pub config: &'a TrainConfig,
    /// Where metrics and states go; it is made if it does not exist.
    pub folder: &'a Path,
    /// Who follows the steps.
    pub observer: &'a mut dyn Observer,
}

/// An example that can be checked, hashed and written down.
pub(crate) trait Example: Checked + Hashed + Serialize {}

impl<E: Checked + Hashed + Serialize> Example for E {}

/// The examples that a model can be trained on.
pub(crate) struct Usable<'d, E> {
    pub examples: Vec<&'d E>,
    /// What a saved state must have in common with this training.
    pub identity: Identity,
    /// Index of each example among those given.
    rows: Vec<usize>,
    skipped: Vec<SkippedRow>,
}

impl Trainer<'_> {
    /// Makes sure that the folder exists, and sorts out the examples that the model cannot be trained on. `objective` is
    /// what the result of the training called `kind` depends on beside the configuration.
    ///
    /// # Errors
    /// When the configuration is out of range, when the folder cannot be made, and when no example is left.
    pub(crate) fn usable<'d, E: Example>(
        &self,
        kind: &str,
        data: &'d [E],
        objective: &Value,
    ) -> Result<Usable<'d, E>, TrainerError> {
        self.config.check()?;
        std::fs::create_dir_all(self.folder).map_err(at(self.folder))?;
        let (rows, skipped) = sift(data, Limits::of(self.model));
        if rows.is_empty() {
            let first = skipped.first().map(|row| row.reason.to_string());
            return Err(TrainerError::NoExamples { given: data.len(), skipped: skipped.len(), first });
        }
        let identity = Identity {
            stage: kind.into(),
            config: describe(self.config, objective),
            data: fingerprint(data),
            model: self.model.hash(),
        };
        Ok(Usable { examples: rows.iter().map(|&row| &data[row]).collect(), identity, rows, skipped })
    }

    /// Trains what `learner` says on the examples that it was made of, to the end. `masters` are what the model's weights
    /// were rounded from.
    pub(crate) fn fit<E: Example>(
        &mut self,
        usable: &Usable<E>,
        mut masters: Masters,
        learner: &mut impl Learner,
    ) -> Result<TrainSummary, TrainerError> {
        let trained = learner.parameters(self.model, self.config)?;
        let mut optimizer = weights::optimizer(self.model, &trained, &mut masters, self.config)?;
        let run = Run {
            model: self.model,
            config: self.config,
            order: learner.order(self.config),
            folder: self.folder,
            identity: usable.identity.clone(),
            observer: self.observer,
            describe: &|row| json!({ "row": usable.rows[row], "example": usable.examples[row] }),
        };
        let summary = run.train(learner, &mut optimizer)?;
        weights::finish(self.model, optimizer, &masters, self.config, self.folder)?;
        Ok(TrainSummary { skipped: usable.skipped.clone(), ..summary })
    }
}

/// Everything of the configuration that the result depends on.
fn describe(config: &TrainConfig, objective: &Value) -> Value {
    let mut train = json!(config);
    if let Some(fields) = train.as_object_mut() {
        fields.remove("save_every_s");
    }
    json!({ "train": train, "objective": objective })
}
