//! Regression of the value head on the tree's Q.

use crate::batch::{Batch, Masks};
use crate::fit::Trainer;
use crate::learner::{Learner, MicroBatchLoss};
use crate::means::Means;
use crate::metrics::Numbers;
use crate::order::{BatchOrder, by_length};
use crate::run::TrainSummary;
use crate::weights::Masters;
use crate::{TrainConfig, TrainerError, ValueExample};
use espalier_model::Transformer;
use serde_json::Value;
use tch::{Kind, Tensor, no_grad};

/// The head's name in saved states.
pub(crate) const HEAD: &str = "value_head";

impl Trainer<'_> {
    /// Fits the value head: V(s) = tanh(w . h), h the last hidden state of the last token of s, by the mean squared error
    /// against the targets (algorithm, section 6).
    ///
    /// Only w `[H]` is trained, from the model's own head or from zeros; the policy's weights stay as they are, bit for
    /// bit. So each state's h is computed once, and the regression itself never runs the model. The head is set on the
    /// model at the end.
    ///
    /// # Errors
    /// As for [`Trainer::sft`].
    pub fn value(mut self, data: &[ValueExample]) -> Result<TrainSummary, TrainerError> {
        let usable = self.usable("value", data, &Value::Null)?;
        let states = HiddenStates::of(&usable.examples, &mut self)?;
        let (weights, means) = (head_of(self.model)?, Means::default());
        let mut head = Head { weights, states, examples: &usable.examples, means };
        let summary = self.fit(&usable, Masters::default(), &mut head)?;
        self.model.set_value_head(Some(head.weights.detach().copy()))?;
        Ok(summary)
    }
}

/// A copy of the model's one value head, w `[H]`, float32; zeros if it has none.
pub(crate) fn head_of(model: &Transformer) -> Result<Tensor, TrainerError> {
    match model.value_head() {
        Some(_) if model.heads() > 1 => Err(TrainerError::Ensemble { heads: model.heads() }),
        Some(head) => Ok(head.to_kind(Kind::Float).copy()),
        None => Ok(Tensor::zeros([model.config().hidden_size as i64], (Kind::Float, model.device()))),
    }
}

/// The sum of (V(s) - target)^2 over the states `hidden` `[N, H]`, a scalar, differentiable by the head w `[H]` and by the
/// states; what is valued goes to `means`.
pub(crate) fn squared_errors(
    head: &Tensor,
    hidden: &Tensor,
    targets: &[f32],
    means: &mut Means,
) -> Result<Tensor, TrainerError> {
    let values = hidden.matmul(head).tanh();
    let targets = Tensor::from_slice(targets).to_device(hidden.device());
    let errors = (&values - &targets).square();
    let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double));
    means.add("value/mean", &numbers(&values)?);
    means.add("value/target_mean", &numbers(&targets)?);
    means.add("value/absolute_error", &numbers(&(values - targets).abs())?);
    Ok(errors.sum(Kind::Float))
}

/// The hidden states at the ends of all examples' steps, N in all.
struct HiddenStates {
    /// After the final norm, `[N, H]`, float32.
    hidden: Tensor,
    /// Where each example's states start, and N.
    starts: Vec<usize>,
}

impl HiddenStates {
    fn of(examples: &[&ValueExample], trainer: &mut Trainer) -> Result<HiddenStates, TrainerError> {
        let model = &*trainer.model;
        let mut starts = vec![0];
        for example in examples {
            starts.push(starts[starts.len() - 1] + example.step_ends.len());
        }
        let all: Vec<usize> = (0..examples.len()).collect();
        let mut masks = Masks::new(model.config().sliding_window, model.device());
        let (mut computed, mut order, mut done) = (Vec::new(), Vec::new(), 0);
        for rows in by_length(&all, trainer.config.micro_batch_tokens, |row| examples[row].ids.len()) {
            let sequences: Vec<(&[u32], &[u32])> =
                rows.iter().map(|&row| (examples[row].ids.as_slice(), examples[row].step_ends.as_slice())).collect();
            let batch = Batch::of_states(&sequences, &mut masks);
            computed.push(no_grad(|| batch.states(model, false).0.to_kind(Kind::Float)));
            order.extend(rows.iter().flat_map(|&row| starts[row]..starts[row + 1]).map(|state| state as i64));
            done += rows.len();
            trainer.observer.preparing(done, examples.len())?;
        }
        // Row i of what was computed is state order[i]; the inverse permutation puts the states in order.
        let inverse = Tensor::from_slice(&order).argsort(0, false).to_device(model.device());
        Ok(HiddenStates { hidden: Tensor::f_cat(&computed, 0)?.index_select(0, &inverse), starts })
    }
}

struct Head<'a> {
    /// w, `[H]`.
    weights: Tensor,
    states: HiddenStates,
    examples: &'a [&'a ValueExample],
    means: Means,
}

impl Learner for Head<'_> {
    fn order(&self, config: &TrainConfig) -> BatchOrder {
        let lengths = self.examples.iter().map(|example| example.step_ends.len()).collect();
        BatchOrder::new(lengths, config)
    }

    fn parameters(&self, _: &Transformer, _: &TrainConfig) -> Result<Vec<(String, Tensor)>, TrainerError> {
        Ok(vec![(HEAD.to_owned(), self.weights.shallow_clone())])
    }

    fn micro_batches(&self, batch: &[usize]) -> Vec<Vec<usize>> {
        vec![batch.to_vec()]
    }

    fn loss(&mut self, _: &Transformer, batch: &[usize], rows: &[usize]) -> Result<MicroBatchLoss, TrainerError> {
        let device = self.weights.device();
        let states: Vec<i64> = rows
            .iter()
            .flat_map(|&row| self.states.starts[row]..self.states.starts[row + 1])
            .map(|state| state as i64)
            .collect();
        let targets: Vec<f32> = rows.iter().flat_map(|&row| self.examples[row].targets.iter().copied()).collect();
        let hidden = self.states.hidden.index_select(0, &Tensor::from_slice(&states).to_device(device));
        let squares = squared_errors(&self.weights, &hidden, &targets, &mut self.means)?;
        let all: usize = batch.iter().map(|&row| self.examples[row].step_ends.len()).sum();
        let tokens = rows.iter().map(|&row| self.examples[row].ids.len()).sum();
        Ok(MicroBatchLoss { loss: squares / all as f64, tokens, checkpointed: None })
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }
}
