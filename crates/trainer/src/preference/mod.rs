//! Preference training: one training over shapes, of which there are two, pairs of steps and lists of siblings.
//!
//! ```text
//!   numbers ◄── held_out ◄── mod ──► reference         pairs, lists: the shapes' losses and what is reported of them
//!      ▲                      ▲
//!      └── pairs, lists ──────┘
//! ```

mod held_out;
mod lists;
mod numbers;
mod pairs;
mod reference;

use crate::batch::{Batch, Collator, PromptSteps};
use crate::fingerprint::fingerprint;
use crate::fit::{Example, Trainer};
use crate::learner::{Learner, MicroBatchLoss};
use crate::means::Means;
use crate::metrics::Numbers;
use crate::objectives::{Loss, Objective};
use crate::order::BatchOrder;
use crate::run::TrainSummary;
use crate::{PreferencePair, SiblingList, TrainConfig, TrainerError, weights};
use espalier_model::Transformer;
use held_out::HeldOut;
use lists::ListLoss;
use pairs::PairLoss;
use reference::Reference;
use tch::Tensor;

impl Trainer<'_> {
    /// Preference training on pairs of steps by `objective`.
    ///
    /// The loss of a batch of B pairs is sum(weight * loss) / B. The reference is the model as it is given: its
    /// log-probabilities are the pairs' own if every pair has them and training computes in the precision of the model as
    /// it is given, else they are computed first, in one pass without gradients, and kept beside the state.
    ///
    /// `held_out` pairs are looked at before the first step and as often as the configuration says; they decide an early
    /// stop.
    ///
    /// # Errors
    /// As for [`Trainer::sft`], and when the objective is one over lists or its parameters are out of range.
    pub fn prefer_pairs(
        self,
        data: &[PreferencePair],
        held_out: &[PreferencePair],
        objective: &Objective,
    ) -> Result<TrainSummary, TrainerError> {
        let Loss::Pair(loss) = objective.loss() else {
            let objective = objective.about().name;
            return Err(TrainerError::WrongShape { objective, takes: "lists of siblings", given: "pairs" });
        };
        self.prefer(data, held_out, objective, PairLoss { loss: loss.as_ref(), sft_weight: objective.sft_weight() })
    }

    /// Preference training on lists of siblings by `objective`; all else as for [`Trainer::prefer_pairs`]. Held-out
    /// lists are looked at as their pairs of [neighbours](SiblingList::neighbours).
    ///
    /// # Errors
    /// As for [`Trainer::sft`], and when the objective is one over pairs or its parameters are out of range.
    pub fn prefer_lists(
        self,
        data: &[SiblingList],
        held_out: &[PreferencePair],
        objective: &Objective,
    ) -> Result<TrainSummary, TrainerError> {
        let Loss::List(loss) = objective.loss() else {
            let objective = objective.about().name;
            return Err(TrainerError::WrongShape { objective, takes: "pairs", given: "lists of siblings" });
        };
        self.prefer(data, held_out, objective, ListLoss { loss: loss.as_ref(), sft_weight: objective.sft_weight() })
    }

    fn prefer<S: Shape>(
        mut self,
        data: &[S::Example],
        held_out: &[PreferencePair],
        objective: &Objective,
        shape: S,
    ) -> Result<TrainSummary, TrainerError> {
        objective.check_composition()?;
        let mut decides = objective.describe();
        if self.config.patience > 0
            && let Some(fields) = decides.as_object_mut()
        {
            fields.insert("held_out".into(), fingerprint(held_out).into());
        }
        let usable = self.usable(S::NAME, data, &decides)?;
        let given = self.model.kind();
        let masters = weights::prepare(self.model, self.config)?;
        // What the pairs say was computed by the model as it is given. Rounded, it says something else, and the difference
        // would count as learnt.
        let known = if self.model.kind() == given { S::known_reference(&usable.examples) } else { None };
        let steps = usable.examples.iter().map(|example| S::prompt_steps(example)).collect();
        let mut collator = Collator::new(steps, self.model, self.config);
        let reference = match (shape.uses_reference(), known) {
            (false, _) => Reference::none(&collator),
            (true, Some(known)) => Reference::new(known, &collator),
            (true, None) => Reference::of(&mut collator, &mut self, &usable.identity)?,
        };
        let (held_out, held_out_skipped) = HeldOut::new(held_out, objective.loss(), &mut self)?;
        let (examples, checkpointing) = (&usable.examples, self.config.gradient_checkpointing);
        let means = Means::default();
        let mut learner = Preference { shape, examples, collator, reference, held_out, checkpointing, means };
        let summary = self.fit(&usable, masters, &mut learner)?;
        Ok(TrainSummary { held_out_skipped, ..summary })
    }
}

/// What examples of one shape are, and their loss.
trait Shape {
    /// A prompt with the steps below it.
    type Example: Example;

    /// The training's name in saved states.
    const NAME: &'static str;

    /// The example's tokens.
    fn prompt_steps(example: &Self::Example) -> PromptSteps<'_>;

    /// The reference's log-probabilities of all steps in turn, in nats, if every example has them.
    fn known_reference(examples: &[&Self::Example]) -> Option<Vec<f64>>;

    /// Whether the loss, or what is reported of it, reads the reference.
    fn uses_reference(&self) -> bool;

    /// The sum of the examples' losses divided by `batch_len`, a scalar, float64; what is reported goes to `means`.
    fn loss(&self, scored: &Scored<Self::Example>, batch_len: usize, means: &mut Means)
    -> Result<Tensor, TrainerError>;
}

/// The examples of a micro-batch and what the policy says of their steps, S in all.
struct Scored<'a, E> {
    examples: Vec<&'a E>,
    /// log pi(step | prompt), `[S]`, float64, in nats.
    lp: Tensor,
    /// log ref(step | prompt), `[S]`, in nats; zeros if there is no reference.
    reference: Vec<f64>,
    batch: &'a Batch,
    /// The batch's states, see [`Batch::states`].
    states: &'a Tensor,
}

struct Preference<'a, S: Shape> {
    shape: S,
    examples: &'a [&'a S::Example],
    collator: Collator<'a>,
    reference: Reference,
    held_out: Option<HeldOut<'a>>,
    checkpointing: bool,
    means: Means,
}

impl<S: Shape> Learner for Preference<'_, S> {
    fn order(&self, config: &TrainConfig) -> BatchOrder {
        self.collator.order(self.collator.widths(), config)
    }

    fn micro_batches(&self, batch: &[usize]) -> Vec<Vec<usize>> {
        self.collator.micro_batches(batch)
    }

    fn loss(&mut self, model: &Transformer, batch: &[usize], rows: &[usize]) -> Result<MicroBatchLoss, TrainerError> {
        let input = self.collator.batch(rows);
        let (states, checkpointed) = input.states(model, self.checkpointing);
        let scored = Scored {
            examples: rows.iter().map(|&row| self.examples[row]).collect(),
            lp: input.step_logprobs(model, &states),
            reference: self.reference.rows(rows),
            batch: &input,
            states: &states,
        };
        let loss = self.shape.loss(&scored, batch.len(), &mut self.means)?;
        Ok(MicroBatchLoss { loss, tokens: input.tokens, checkpointed })
    }

    fn evaluate(&mut self, model: &Transformer) -> Result<Option<Numbers>, TrainerError> {
        self.held_out.as_mut().map(|held_out| held_out.evaluate(model)).transpose()
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }
}
