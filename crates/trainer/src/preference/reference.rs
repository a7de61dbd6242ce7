//! The reference's log-probabilities: computed once by the model that training starts from, before its first step, and
//! kept in a file. No second model is ever held in memory.

use crate::TrainerError;
use crate::batch::Collator;
use crate::fingerprint::key;
use crate::fit::Trainer;
use crate::resume::{Identity, state_folder};
use espalier_files::Unpublished;
use std::path::Path;
use tch::{Kind, Tensor, no_grad};

const TENSOR: &str = "logprobs";

/// log ref(step | prompt) of every step, in nats, example after example.
pub(super) struct Reference {
    /// Nothing, if there is no reference.
    logprobs: Option<Vec<f64>>,
    /// Where each example's steps start, and their number.
    starts: Vec<usize>,
}

impl Reference {
    /// Takes the `logprobs` of all steps of the examples in `collator`.
    pub fn new(logprobs: Vec<f64>, collator: &Collator) -> Reference {
        Reference { logprobs: Some(logprobs), starts: starts(collator) }
    }

    /// No reference: every log-probability is 0.
    pub fn none(collator: &Collator) -> Reference {
        Reference { logprobs: None, starts: starts(collator) }
    }

    /// Asks the model, unless the trainer's folder has what it said for the same model and examples.
    pub fn of(collator: &mut Collator, trainer: &mut Trainer, identity: &Identity) -> Result<Reference, TrainerError> {
        let way = format!("{:?} {:?}", trainer.config.layout, trainer.config.precision);
        let key = key(&[&identity.stage, &identity.model, &identity.data, &way]);
        let path = state_folder(trainer.folder).join(format!("reference-{}.safetensors", &key[..16]));
        if path.exists() {
            return Ok(Reference::new(read(&path, collator.steps().sum())?, collator));
        }
        let reference = Reference::compute(collator, trainer)?;
        let file = Unpublished::create(&path)?;
        let logprobs = Tensor::from_slice(reference.logprobs.as_deref().unwrap_or_default());
        Tensor::write_safetensors(&[(TENSOR, &logprobs)], file.hidden_path())?;
        file.publish()?;
        Ok(reference)
    }

    /// As [`Reference::of`], without a file.
    pub fn compute(collator: &mut Collator, trainer: &mut Trainer) -> Result<Reference, TrainerError> {
        let model = &*trainer.model;
        let starts = starts(collator);
        let mut logprobs = vec![0.0; starts[collator.len()]];
        let mut done = 0;
        for rows in collator.all() {
            let batch = collator.batch(&rows);
            let computed = no_grad(|| batch.step_logprobs(model, &batch.states(model, false).0));
            let computed: Vec<f64> = Vec::try_from(computed.to_kind(Kind::Double))?;
            let mut computed = computed.into_iter();
            for &row in &rows {
                for slot in &mut logprobs[starts[row]..starts[row + 1]] {
                    // The batch holds one number for each step of its examples, in their order.
                    *slot = computed.next().unwrap_or(f64::NAN);
                }
            }
            done += rows.len();
            trainer.observer.preparing(done, collator.len())?;
        }
        Ok(Reference { logprobs: Some(logprobs), starts })
    }

    /// The log-probabilities of all steps of the examples `rows` in turn.
    pub fn rows(&self, rows: &[usize]) -> Vec<f64> {
        let steps = rows.iter().flat_map(|&row| self.starts[row]..self.starts[row + 1]);
        steps.map(|step| self.logprobs.as_ref().map_or(0.0, |logprobs| logprobs[step])).collect()
    }
}

/// Where each example's steps start, and their number.
fn starts(collator: &Collator) -> Vec<usize> {
    let ends = collator.steps().scan(0, |end, steps| {
        *end += steps;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

fn read(path: &Path, steps: usize) -> Result<Vec<f64>, TrainerError> {
    let bad = |reason| TrainerError::BadState { path: path.to_owned(), reason };
    let tensors = Tensor::read_safetensors(path).map_err(|e| bad(e.to_string()))?;
    let found = tensors.iter().find(|(name, _)| name == TENSOR);
    let (_, tensor) = found.ok_or_else(|| bad(format!("tensor {TENSOR} is missing")))?;
    let logprobs = Vec::<f64>::try_from(tensor).map_err(|e| bad(e.to_string()))?;
    if logprobs.len() != steps {
        return Err(bad(format!("it holds {} numbers for {steps} steps", logprobs.len())));
    }
    Ok(logprobs)
}
