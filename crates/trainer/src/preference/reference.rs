//! The reference's log-probabilities: computed once by the model that training starts from, before its first step, and
//! kept in a journal, batch by batch, so that a killed training computes none twice. No second model is ever held in
//! memory.

use crate::batch::Collator;
use crate::error::at;
use crate::fingerprint::key;
use crate::fit::Trainer;
use crate::resume::{Identity, state_folder};
use crate::{TrainConfig, TrainerError};
use espalier_files::Journal;
use tch::{Kind, no_grad};

/// How a journal of log-probabilities begins: each record is those of one batch, float64, in its order.
const MAGIC: [u8; 8] = *b"ESPREF01";

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

    /// Asks the model for what the trainer's folder does not hold already of the same model and batches.
    pub fn of(collator: &mut Collator, trainer: &mut Trainer, identity: &Identity) -> Result<Reference, TrainerError> {
        let TrainConfig { layout, precision, micro_batch_tokens, .. } = trainer.config;
        let way = format!("{layout:?} {precision:?} {micro_batch_tokens}");
        let key = key(&[&identity.stage, &identity.model, &identity.data, &way]);
        let folder = state_folder(trainer.folder);
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join(format!("reference-{}.journal", &key[..16]));
        let mut known = Vec::new();
        let mut journal = Journal::open(&path, MAGIC, |record| {
            known.push(
                record.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap_or_default())).collect(),
            );
            Ok::<_, TrainerError>(())
        })?;
        Reference::compute(collator, trainer, known, |logprobs| {
            Ok(journal.append(|to| to.extend(logprobs.iter().flat_map(|logprob| logprob.to_le_bytes())))?)
        })
    }

    /// As [`Reference::of`], without a file.
    pub fn afresh(collator: &mut Collator, trainer: &mut Trainer) -> Result<Reference, TrainerError> {
        Reference::compute(collator, trainer, Vec::new(), |_| Ok(()))
    }

    /// Asks the model, batch after batch; the first ones are `known`, and each other goes to `keep`.
    fn compute(
        collator: &mut Collator,
        trainer: &mut Trainer,
        known: Vec<Vec<f64>>,
        mut keep: impl FnMut(&[f64]) -> Result<(), TrainerError>,
    ) -> Result<Reference, TrainerError> {
        let model = &*trainer.model;
        let starts = starts(collator);
        let mut logprobs = vec![f64::NAN; starts[collator.len()]];
        let (mut done, mut known) = (0, known.into_iter());
        for rows in collator.all() {
            let steps = rows.iter().map(|&row| starts[row + 1] - starts[row]).sum::<usize>();
            let computed = match known.next() {
                Some(known) if known.len() == steps => known,
                _ => {
                    let batch = collator.batch(&rows);
                    let computed = no_grad(|| batch.step_logprobs(model, &batch.states(model, false).0));
                    let computed: Vec<f64> = Vec::try_from(computed.to_kind(Kind::Double))?;
                    keep(&computed)?;
                    trainer.observer.preparing(done + rows.len(), collator.len())?;
                    computed
                }
            };
            // A batch holds one number for each step of its examples, in their order.
            let mut computed = computed.into_iter();
            for &row in &rows {
                logprobs[starts[row]..starts[row + 1]].iter_mut().zip(&mut computed).for_each(|(slot, it)| *slot = it);
            }
            done += rows.len();
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
