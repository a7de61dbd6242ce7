//! Imitation and value regression together, out of one forward pass.

use crate::batch::{Collator, PromptSteps};
use crate::check::{Checked, Limits, SkipReason};
use crate::fingerprint::{Fingerprint, Hashed};
use crate::fit::Trainer;
use crate::learner::{Learner, MicroBatchLoss};
use crate::means::Means;
use crate::metrics::Numbers;
use crate::order::BatchOrder;
use crate::run::TrainSummary;
use crate::value::{HEAD, head_of, squared_errors};
use crate::{SftExample, TrainConfig, TrainerError, ValueExample, weights};
use espalier_model::Transformer;
use espalier_settings::range::above;
use serde::Serialize;
use serde_json::json;
use tch::{Kind, Tensor};

/// What [`Trainer::joint`] learns from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum JointExample {
    /// A path to imitate.
    Path(SftExample),
    /// A path, right or wrong, whose states have values; `step_ends` begins with the end of its prompt.
    States(ValueExample),
}

impl JointExample {
    fn ids(&self) -> &[u32] {
        match self {
            JointExample::Path(path) => &path.ids,
            JointExample::States(states) => &states.ids,
        }
    }

    /// Tokens before the first that is predicted.
    fn prompt_len(&self) -> usize {
        match self {
            JointExample::Path(path) => path.prompt_len.max(1),
            JointExample::States(states) => states.step_ends.first().map_or(0, |&end| end as usize),
        }
    }

    fn prompt_steps(&self) -> PromptSteps<'_> {
        let (prompt, path) = self.ids().split_at(self.prompt_len());
        PromptSteps { prompt, steps: vec![path] }
    }

    /// Tokens to imitate.
    fn imitated(&self) -> usize {
        match self {
            JointExample::Path(path) => path.ids.len() - self.prompt_len(),
            JointExample::States(_) => 0,
        }
    }

    /// The states to value: how many tokens after the prompt each ends, and its target. A whole path is none of them,
    /// since its last token is not fed; the search never asks for the value of a finished path either.
    fn states(&self) -> impl Iterator<Item = (usize, f32)> {
        let (step_ends, targets): (&[u32], &[f32]) = match self {
            JointExample::Path(_) => (&[], &[]),
            JointExample::States(states) => (&states.step_ends, &states.targets),
        };
        let (whole, prompt) = (self.ids().len(), self.prompt_len());
        let ends = step_ends.iter().map(|&end| end as usize).zip(targets.iter().copied());
        ends.filter(move |&(end, _)| end < whole).map(move |(end, q)| (end - prompt, q))
    }
}

impl Checked for JointExample {
    fn check(&self, limits: Limits) -> Result<(), SkipReason> {
        match self {
            JointExample::Path(path) => path.check(limits),
            JointExample::States(states) => {
                states.check(limits)?;
                // Nothing comes after the prompt.
                if self.states().next().is_none() { Err(SkipReason::EmptyStep) } else { Ok(()) }
            }
        }
    }
}

impl Hashed for JointExample {
    fn feed(&self, to: &mut Fingerprint) {
        match self {
            JointExample::Path(path) => path.feed(to),
            JointExample::States(states) => states.feed(to),
        }
    }
}

impl Trainer<'_> {
    /// Imitation and the value head at once, as AlphaMath does (arXiv:2405.03553): the loss of a batch is the mean of
    /// -log pi(token | before) over the tokens of its paths, plus `value_weight` times the mean squared error of
    /// V(s) = tanh(w . h) over its states, whose gradient reaches the whole policy. Paths of one tree share a row, in
    /// which a token stands once, whether it is imitated, valued or both.
    ///
    /// # Errors
    /// As for [`Trainer::sft`], and when `value_weight` is not a positive number.
    pub fn joint(mut self, data: &[JointExample], value_weight: f64) -> Result<TrainSummary, TrainerError> {
        above(0).check("value_weight", &value_weight)?;
        let usable = self.usable("joint", data, &json!({ "value_weight": value_weight }))?;
        let masters = weights::prepare(self.model, self.config)?;
        let sequences = usable.examples.iter().map(|example| example.prompt_steps()).collect();
        let mut learner = Joint {
            head: head_of(self.model)?.set_requires_grad(true),
            value_weight,
            examples: &usable.examples,
            collator: Collator::new(sequences, self.model, self.config),
            checkpointing: self.config.gradient_checkpointing,
            means: Means::default(),
        };
        let summary = self.fit(&usable, masters, &mut learner)?;
        self.model.set_value_head(Some(learner.head.detach().copy()))?;
        Ok(summary)
    }
}

struct Joint<'a> {
    /// w, `[H]`, float32.
    head: Tensor,
    value_weight: f64,
    examples: &'a [&'a JointExample],
    collator: Collator<'a>,
    checkpointing: bool,
    means: Means,
}

impl Learner for Joint<'_> {
    fn order(&self, config: &TrainConfig) -> BatchOrder {
        let lengths = self.examples.iter().map(|example| example.ids().len()).collect();
        self.collator.order(lengths, config)
    }

    fn parameters(&self, model: &Transformer, config: &TrainConfig) -> Result<Vec<(String, Tensor)>, TrainerError> {
        let mut parameters = weights::of_policy(model, config)?;
        parameters.push((HEAD.to_owned(), self.head.shallow_clone()));
        Ok(parameters)
    }

    fn micro_batches(&self, batch: &[usize]) -> Vec<Vec<usize>> {
        self.collator.micro_batches(batch)
    }

    fn loss(&mut self, model: &Transformer, batch: &[usize], rows: &[usize]) -> Result<MicroBatchLoss, TrainerError> {
        let input = self.collator.batch(rows);
        let (states, checkpointed) = input.states(model, self.checkpointing);
        // Indices among the tokens of the steps.
        let (mut imitated, mut valued, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (step, &row) in rows.iter().enumerate() {
            let first = input.first_token(step);
            imitated.extend((first..first + self.examples[row].imitated()).map(|token| token as i64));
            for (after, target) in self.examples[row].states() {
                valued.push((first + after) as i64);
                targets.push(target);
            }
        }
        let total = |count: fn(&JointExample) -> usize| -> f64 {
            batch.iter().map(|&row| count(self.examples[row])).sum::<usize>().max(1) as f64
        };
        let tensor = |indices: &[i64]| Tensor::from_slice(indices).to_device(model.device());
        let logprobs = input.logprobs_of(model, &states, &tensor(&imitated));
        let hidden = input.states_of(&states, &tensor(&valued)).to_kind(Kind::Float);
        self.means.add("logps/token", &Vec::<f64>::try_from(logprobs.detach().to_kind(Kind::Double))?);
        let squares = squared_errors(&self.head, &hidden, &targets, &mut self.means)?;
        let imitation = -logprobs.sum(Kind::Float) / total(JointExample::imitated);
        let regression = squares / total(|example| example.states().count());
        let loss = imitation + regression * self.value_weight;
        Ok(MicroBatchLoss { loss, tokens: input.tokens, checkpointed })
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }
}
