//! What a kind of training says: which parameters, and the loss of which batch.

use crate::metrics::Numbers;
use crate::order::BatchOrder;
use crate::{TrainConfig, TrainerError, weights};
use espalier_model::{Checkpointed, Transformer};
use tch::Tensor;

/// The loss of a micro-batch.
pub(crate) struct MicroBatchLoss {
    /// A scalar; the sum over a batch's micro-batches is the batch's loss.
    pub loss: Tensor,
    /// Tokens read, without padding.
    pub tokens: usize,
    /// What the model needs to carry the loss's gradient on, with gradient checkpointing.
    pub checkpointed: Option<Checkpointed>,
}

/// One kind of training: which parameters, and the loss of which batch.
pub(crate) trait Learner {
    /// Which examples make up which batch.
    fn order(&self, config: &TrainConfig) -> BatchOrder;

    /// The named tensors that are trained: those of the policy, unless a learner says otherwise.
    fn parameters(&self, model: &Transformer, config: &TrainConfig) -> Result<Vec<(String, Tensor)>, TrainerError> {
        weights::of_policy(model, config)
    }

    /// Cuts a batch into micro-batches of one forward pass each.
    fn micro_batches(&self, batch: &[usize]) -> Vec<Vec<usize>>;

    /// The loss of the micro-batch `rows` of the batch `batch`.
    fn loss(&mut self, model: &Transformer, batch: &[usize], rows: &[usize]) -> Result<MicroBatchLoss, TrainerError>;

    /// Looks at the held-out examples, if there are any.
    fn evaluate(&mut self, _model: &Transformer) -> Result<Option<Numbers>, TrainerError> {
        Ok(None)
    }

    /// The learner's own numbers of the step just done, which are then forgotten.
    fn take_numbers(&mut self) -> Numbers {
        Vec::new()
    }
}
