//! Regression of the value head on the tree's Q.

use crate::batch::{Batch, Masks};
use crate::means::Means;
use crate::metrics::{Numbers, Observer};
use crate::optimizer::AdamW;
use crate::order::{Plan, micro_batches};
use crate::run::{Part, Run, Stage, TrainSummary};
use crate::start::{self, Start, Trained};
use crate::{TrainConfig, TrainerError, ValueExample};
use espalier_model::Transformer;
use serde_json::Value;
use std::path::Path;
use tch::{Kind, Tensor, no_grad};

/// The head's name in saved states.
pub(crate) const HEAD: &str = "value_head";

/// Fits the value head: V(s) = tanh(w . h), h the last hidden state of the last token of s, by the mean squared error
/// against the targets (algorithm, section 6).
///
/// Only w `[H]` is trained, from the model's own head or from zeros; the policy's weights stay as they are, bit for bit.
/// So each state's h is computed once, and the regression itself never runs the model. The head is set on `model` at the
/// end. Resuming and skipping as in [`train_sft`](crate::train_sft).
pub fn train_value(
    model: &mut Transformer,
    data: &[ValueExample],
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    config.check()?;
    let Start { rows, skipped, identity } = start::begin("value", model, data, config, &Value::Null, folder)?;
    let examples: Vec<&ValueExample> = rows.iter().map(|&row| &data[row]).collect();
    let states = States::of(Trained::new(model), &examples, config, observer)?;
    let head = head_of(model);
    let mut optimizer = AdamW::new(&[(HEAD.to_owned(), head.shallow_clone())], config)?;
    let lengths = examples.iter().map(|example| example.ends.len()).collect();
    let plan = Plan::new(lengths, config.batch_size, config.seed, config.order.unwrap_or_default());
    let mut stage = Head { weights: head, states, examples, rows, means: Means::default() };
    let run = Run { config, plan, folder, identity, observer };
    let summary = run.train(&mut stage, &mut optimizer)?;
    drop(optimizer);
    let head = stage.weights.detach().copy();
    model.set_value_head(Some(head))?;
    Ok(TrainSummary { skipped, ..summary })
}

/// A copy of the model's value head, w `[H]`, float32; zeros if it has none.
pub(crate) fn head_of(model: &Transformer) -> Tensor {
    match model.value_head() {
        Some(head) => head.to_kind(Kind::Float).copy(),
        None => Tensor::zeros([model.config().hidden_size as i64], (Kind::Float, model.device())),
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

/// The states of all examples, N in all.
struct States {
    /// Final-norm hidden states, `[N, H]`, float32.
    hidden: Tensor,
    /// Where each example's states start, and N.
    starts: Vec<usize>,
}

impl States {
    fn of(
        Trained { model, window, device }: Trained,
        examples: &[&ValueExample],
        config: &TrainConfig,
        observer: &mut dyn Observer,
    ) -> Result<States, TrainerError> {
        let mut starts = vec![0];
        for example in examples {
            starts.push(starts[starts.len() - 1] + example.ends.len());
        }
        let all: Vec<usize> = (0..examples.len()).collect();
        let (mut computed, mut order, mut masks, mut done) = (Vec::new(), Vec::new(), Masks::default(), 0);
        for rows in micro_batches(&all, config.micro_batch_tokens, |row| examples[row].ids.len()) {
            let sequences: Vec<(&[u32], &[u32])> =
                rows.iter().map(|&row| (examples[row].ids.as_slice(), examples[row].ends.as_slice())).collect();
            let batch = Batch::of_states(&sequences, window, &mut masks, device);
            computed.push(no_grad(|| batch.states(model, false).0.to_kind(Kind::Float)));
            order.extend(rows.iter().flat_map(|&row| starts[row]..starts[row + 1]).map(|state| state as i64));
            done += rows.len();
            observer.preparing(done, examples.len())?;
        }
        // Row i of what was computed is state order[i]; the inverse permutation puts the states in order.
        let inverse = Tensor::from_slice(&order).argsort(0, false).to_device(device);
        Ok(States { hidden: Tensor::f_cat(&computed, 0)?.index_select(0, &inverse), starts })
    }
}

struct Head<'a> {
    /// w, `[H]`.
    weights: Tensor,
    states: States,
    examples: Vec<&'a ValueExample>,
    /// Index of each example among those given.
    rows: Vec<usize>,
    means: Means,
}

impl Stage for Head<'_> {
    fn parts(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        vec![rows.to_vec()]
    }

    fn loss(&mut self, batch: &[usize], rows: &[usize]) -> Result<Part, TrainerError> {
        let device = self.weights.device();
        let states: Vec<i64> = rows
            .iter()
            .flat_map(|&row| self.states.starts[row]..self.states.starts[row + 1])
            .map(|state| state as i64)
            .collect();
        let targets: Vec<f32> = rows.iter().flat_map(|&row| self.examples[row].targets.iter().copied()).collect();
        let hidden = self.states.hidden.index_select(0, &Tensor::from_slice(&states).to_device(device));
        let squares = squared_errors(&self.weights, &hidden, &targets, &mut self.means)?;
        let all: usize = batch.iter().map(|&row| self.examples[row].ends.len()).sum();
        let tokens = rows.iter().map(|&row| self.examples[row].ids.len()).sum();
        Ok(Part { loss: squares / all as f64, tokens, checkpointed: None })
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }

    fn examples(&self, rows: &[usize]) -> Vec<Value> {
        rows.iter().map(|&row| start::example_json(self.rows[row], self.examples[row])).collect()
    }
}
