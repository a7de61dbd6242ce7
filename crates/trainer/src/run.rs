//! The loop that all stages share: batches, gradients, optimiser, record, saved states.

use crate::data::SkippedRow;
use crate::early_stop::EarlyStop;
use crate::metrics::{self, MetricsLog, Numbers, Observer};
use crate::optimizer::AdamW;
use crate::order::Plan;
use crate::resume::{Identity, States};
use crate::{TrainConfig, TrainerError};
use espalier_files::publish_json;
use espalier_model::{Checkpointed, Transformer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::Tensor;

/// What a training stage did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainSummary {
    /// Examples trained on.
    pub examples: usize,
    /// Examples left out, and why.
    pub skipped: Vec<SkippedRow>,
    /// Held-out pairs left out, and why.
    #[serde(default)]
    pub held_out_skipped: Vec<SkippedRow>,
    /// The step of the lowest held-out loss, if held-out pairs were looked at.
    #[serde(default)]
    pub best_step: Option<u64>,
    /// What gives reason to doubt the result.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Optimiser steps of the whole stage; fewer than planned after an early stop.
    pub steps: u64,
    /// The step from which this process continued, if an earlier one was stopped.
    pub resumed_from: Option<u64>,
    /// The mean loss over the last epoch.
    pub final_loss: f64,
    /// Tokens that this process read, without padding; packed, each distinct one once.
    pub tokens: u64,
    /// Tokens a second of training in this process; 0 if it did no step.
    pub tokens_per_s: f64,
}

/// The loss of a part of a batch.
pub(crate) struct Part {
    /// A scalar; the sum over a batch's parts is the batch's loss.
    pub loss: Tensor,
    /// Tokens read, without padding.
    pub tokens: usize,
    /// What the model needs to carry the loss's gradient on, with gradient checkpointing.
    pub checkpointed: Option<Checkpointed>,
}

/// What one kind of training does with a batch.
pub(crate) trait Stage {
    /// Cuts a batch into parts of one forward pass each.
    fn parts(&self, rows: &[usize]) -> Vec<Vec<usize>>;

    /// The loss of the part `rows` of the batch `batch`.
    fn loss(&mut self, batch: &[usize], rows: &[usize]) -> Result<Part, TrainerError>;

    /// The model that is trained, for gradient checkpointing.
    fn model(&self) -> Option<&Transformer> {
        None
    }

    /// Looks at the held-out examples, if there are any.
    fn evaluate(&mut self) -> Result<Option<Numbers>, TrainerError> {
        Ok(None)
    }

    /// The stage's own numbers of the step just done, which it then forgets.
    fn take_numbers(&mut self) -> Numbers;

    /// The batch's examples, for inspection by people.
    fn examples(&self, rows: &[usize]) -> Vec<Value>;
}

/// Everything around a stage.
pub(crate) struct Run<'a> {
    pub config: &'a TrainConfig,
    pub plan: Plan,
    /// Where metrics and states go.
    pub folder: &'a Path,
    pub identity: Identity,
    pub observer: &'a mut dyn Observer,
}

impl Run<'_> {
    /// Trains `stage` with `optimizer` to the end, from where an earlier process was stopped.
    pub fn train(self, stage: &mut impl Stage, optimizer: &mut AdamW) -> Result<TrainSummary, TrainerError> {
        let Run { config, plan, folder, identity, observer } = self;
        let total = config.total_steps(plan.examples());
        let mut states = States::new(folder, identity, config.save_every_s)?;
        let mut summary = TrainSummary { examples: plan.examples(), steps: total, ..TrainSummary::default() };
        let found = states.find()?;
        let per_epoch = plan.batches_per_epoch() as u64;
        if let Some(found) = &found {
            found.restore(optimizer)?;
            summary.resumed_from = Some(found.step);
        }
        let mut looks = EarlyStop::read(folder, optimizer.steps())?;
        if found.is_some_and(|found| found.finished) {
            return conclude(summary, &looks, optimizer, per_epoch, folder);
        }
        let mut log = MetricsLog::open(folder, optimizer.steps())?;
        let began = Instant::now();
        if optimizer.steps() == 0
            && let Some(numbers) = stage.evaluate()?
        {
            looks.take(0, &numbers);
            log.write(0, &Numbers::new(), Some(&numbers))?;
            if config.patience > 0 {
                states.save_best(optimizer)?;
            }
        }
        let every = if config.eval_every == 0 { per_epoch } else { config.eval_every };
        let patient = |looks: &EarlyStop| config.patience == 0 || looks.since() < config.patience;
        let mut batches: (u64, Vec<Vec<usize>>) = (u64::MAX, Vec::new());
        while optimizer.steps() < total && patient(&looks) {
            let step = optimizer.steps();
            let epoch = step / per_epoch;
            if batches.0 != epoch {
                batches = (epoch, plan.epoch(epoch));
            }
            let batch = &batches.1[(step % per_epoch) as usize];
            let step_began = Instant::now();
            let (mut loss, mut tokens) = (0.0, 0);
            for rows in stage.parts(batch) {
                let part = stage.loss(batch, &rows)?;
                loss += part.loss.double_value(&[]);
                tokens += part.tokens;
                part.loss.f_backward()?;
                if let (Some(model), Some(checkpointed)) = (stage.model(), part.checkpointed) {
                    model.backward(checkpointed);
                }
                optimizer.gather()?;
            }
            finite("loss", loss, step + 1, folder, stage, batch)?;
            let norm = optimizer.gradient_norm();
            finite("gradient norm", norm, step + 1, folder, stage, batch)?;
            let learning_rate = config.learning_rate_at(step, total);
            optimizer.step(learning_rate, norm);
            let step = step + 1;
            let mut numbers = vec![
                ("loss", loss),
                ("grad_norm", norm),
                ("learning_rate", learning_rate),
                ("epoch", step as f64 / per_epoch as f64),
                ("tokens_per_s", tokens as f64 / step_began.elapsed().as_secs_f64()),
            ];
            numbers.extend(stage.take_numbers());
            let held_out = if step.is_multiple_of(every) || step == total { stage.evaluate()? } else { None };
            log.write(step, &numbers, held_out.as_ref())?;
            if let Some(held_out) = &held_out {
                let warned = looks.warning.is_some();
                if looks.take(step, held_out) && config.patience > 0 {
                    states.save_best(optimizer)?;
                }
                if let (false, Some(warning)) = (warned, &looks.warning) {
                    observer.warn(warning);
                }
            }
            summary.tokens += tokens as u64;
            if states.due() && step < total {
                states.save(optimizer, false)?;
            }
            match observer.step(step, total, loss) {
                Err(stopped @ TrainerError::Stopped { .. }) => {
                    states.save(optimizer, false)?;
                    return Err(stopped);
                }
                other => other?,
            }
        }
        if config.patience > 0 && looks.best_step().is_some_and(|best| best != optimizer.steps()) {
            states.restore_best(optimizer)?;
        }
        summary.tokens_per_s = summary.tokens as f64 / began.elapsed().as_secs_f64();
        states.save(optimizer, true)?;
        conclude(summary, &looks, optimizer, per_epoch, folder)
    }
}

/// Fills in what follows from the metrics of a finished training.
fn conclude(
    summary: TrainSummary,
    looks: &EarlyStop,
    optimizer: &AdamW,
    per_epoch: u64,
    folder: &Path,
) -> Result<TrainSummary, TrainerError> {
    let steps = optimizer.steps();
    let final_loss = metrics::mean_loss_after(folder, steps.saturating_sub(per_epoch))?;
    let warnings = looks.warning.clone().into_iter().collect();
    Ok(TrainSummary { steps, final_loss, warnings, best_step: looks.best_step(), ..summary })
}

/// Writes the batch down and stops the training if `value` is NaN or infinite.
fn finite(
    what: &'static str,
    value: f64,
    step: u64,
    folder: &Path,
    stage: &impl Stage,
    batch: &[usize],
) -> Result<(), TrainerError> {
    if value.is_finite() {
        return Ok(());
    }
    let content = serde_json::json!({
        "step": step, "what": what, "value": value.to_string(), "examples": stage.examples(batch),
    });
    let path = write_json(folder, &format!("failed-batch-{step:08}.json"), &content)?;
    Err(TrainerError::NotFinite { what, value, step, path })
}

fn write_json(folder: &Path, name: &str, content: &Value) -> Result<PathBuf, TrainerError> {
    let path = folder.join(name);
    publish_json(&path, content)?;
    Ok(path)
}
