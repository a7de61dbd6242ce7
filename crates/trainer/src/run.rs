//! The loop that all trainings share: batches, gradients, optimiser, record, saved states.

use crate::check::SkippedRow;
use crate::early_stop::EarlyStop;
use crate::learner::Learner;
use crate::metrics::{self, MetricsLog, Numbers, Observer};
use crate::optimizer::AdamW;
use crate::order::BatchOrder;
use crate::resume::{Identity, SavedStates};
use crate::{TrainConfig, TrainerError};
use espalier_files::publish_json;
use espalier_model::Transformer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a training did.
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
    /// Optimiser steps of the whole training; fewer than planned after an early stop.
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

/// Everything around a learner.
pub(crate) struct Run<'a> {
    pub model: &'a Transformer,
    pub config: &'a TrainConfig,
    pub order: BatchOrder,
    /// Where metrics and states go.
    pub folder: &'a Path,
    pub identity: Identity,
    pub observer: &'a mut dyn Observer,
    /// An example by its index in the order, for inspection by people.
    pub describe: &'a dyn Fn(usize) -> Value,
}

impl Run<'_> {
    /// Trains `learner` with `optimizer` to the end, from where an earlier process was stopped.
    pub fn train(self, learner: &mut impl Learner, optimizer: &mut AdamW) -> Result<TrainSummary, TrainerError> {
        let Run { model, config, order, folder, identity, observer, describe } = self;
        let total = config.total_steps(order.examples());
        let mut states = SavedStates::new(folder, identity, config)?;
        let mut summary = TrainSummary { examples: order.examples(), steps: total, ..TrainSummary::default() };
        let found = states.find(observer)?;
        let per_epoch = order.batches_per_epoch() as u64;
        if let Some(found) = &found {
            found.restore(optimizer)?;
            summary.resumed_from = Some(found.step);
        }
        let finished = found.as_ref().is_some_and(|found| found.finished);
        let mut looks = found.map(|found| found.looks).unwrap_or_default();
        if finished {
            return conclude(summary, &looks, optimizer, per_epoch, folder);
        }
        let mut log = MetricsLog::open(folder, summary.resumed_from)?;
        let began = Instant::now();
        if summary.resumed_from.is_none()
            && let Some(numbers) = learner.evaluate(model)?
        {
            looks.take(0, &numbers);
            log.write(0, &Numbers::new(), Some(&numbers))?;
            if config.patience > 0 {
                states.save_best(optimizer, &looks)?;
            }
        }
        let every = if config.eval_every == 0 { per_epoch } else { config.eval_every };
        let patient = |looks: &EarlyStop| config.patience == 0 || looks.since() < config.patience;
        let mut batches: (u64, Vec<Vec<usize>>) = (u64::MAX, Vec::new());
        while optimizer.steps() < total && patient(&looks) {
            let step = optimizer.steps();
            let epoch = step / per_epoch;
            if batches.0 != epoch {
                batches = (epoch, order.epoch(epoch));
            }
            let batch = &batches.1[(step % per_epoch) as usize];
            let step_began = Instant::now();
            let (mut loss, mut tokens) = (0.0, 0);
            for rows in learner.micro_batches(batch) {
                let computed = learner.loss(model, batch, &rows)?;
                loss += computed.loss.double_value(&[]);
                tokens += computed.tokens;
                computed.loss.f_backward()?;
                if let Some(checkpointed) = computed.checkpointed {
                    model.backward(checkpointed);
                }
                optimizer.gather()?;
            }
            let examples = || batch.iter().map(|&row| describe(row)).collect();
            finite("loss", loss, step + 1, folder, examples)?;
            let norm = optimizer.gradient_norm();
            finite("gradient norm", norm, step + 1, folder, examples)?;
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
            numbers.extend(learner.take_numbers());
            let held_out = if step.is_multiple_of(every) || step == total { learner.evaluate(model)? } else { None };
            log.write(step, &numbers, held_out.as_ref())?;
            if let Some(held_out) = &held_out {
                let warned = looks.warning.is_some();
                if looks.take(step, held_out) && config.patience > 0 {
                    states.save_best(optimizer, &looks)?;
                }
                if let (false, Some(warning)) = (warned, &looks.warning) {
                    observer.warn(warning);
                }
            }
            summary.tokens += tokens as u64;
            if states.due() && step < total {
                log.sync()?;
                states.save(optimizer, &looks, false)?;
            }
            match observer.step(step, total, loss) {
                Err(stopped @ TrainerError::Stopped { .. }) => {
                    log.sync()?;
                    states.save(optimizer, &looks, false)?;
                    return Err(stopped);
                }
                other => other?,
            }
        }
        if config.patience > 0 && looks.best_step().is_some_and(|best| best != optimizer.steps()) {
            states.restore_best(optimizer)?;
        }
        summary.tokens_per_s = summary.tokens as f64 / began.elapsed().as_secs_f64();
        log.sync()?;
        states.save(optimizer, &looks, true)?;
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

/// Writes the batch's examples down and stops the training if `value` is NaN or infinite.
fn finite(
    what: &'static str,
    value: f64,
    step: u64,
    folder: &Path,
    examples: impl Fn() -> Vec<Value>,
) -> Result<(), TrainerError> {
    if value.is_finite() {
        return Ok(());
    }
    let content = serde_json::json!({
        "step": step, "what": what, "value": value.to_string(), "examples": examples(),
    });
    let path = write_json(folder, &format!("failed-batch-{step:08}.json"), &content)?;
    Err(TrainerError::NotFinite { what, value, step, path })
}

fn write_json(folder: &Path, name: &str, content: &Value) -> Result<PathBuf, TrainerError> {
    let path = folder.join(name);
    publish_json(&path, content)?;
    Ok(path)
}
