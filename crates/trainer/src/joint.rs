//! Imitation and value regression together, out of one forward pass.

use crate::batch::{Batch, Group, Masks, parts, units};
use crate::data::{Checked, Limits, SkipReason};
use crate::fingerprint::{Fingerprint, Hashed};
use crate::means::Means;
use crate::metrics::{Numbers, Observer};
use crate::optimizer::AdamW;
use crate::order::Plan;
use crate::run::{Part, Run, Stage, TrainSummary};
use crate::start::{self, Start, Trained};
use crate::value::{HEAD, head_of, squared_errors};
use crate::{SftExample, TrainConfig, TrainerError, ValueExample};
use espalier_model::Transformer;
use espalier_settings::range::above;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use tch::{Kind, Tensor};

/// What [`train_joint`] learns from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum JointExample {
    /// A path to imitate.
    Path(SftExample),
    /// A path, right or wrong, whose states have values; `ends` begins with the end of its prompt.
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
            JointExample::States(states) => states.ends.first().map_or(0, |&end| end as usize + 1),
        }
    }

    fn group(&self) -> Group<'_> {
        let (prompt, path) = self.ids().split_at(self.prompt_len());
        Group { prompt, steps: vec![path] }
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
        let (ends, targets): (&[u32], &[f32]) = match self {
            JointExample::Path(_) => (&[], &[]),
            JointExample::States(states) => (&states.ends, &states.targets),
        };
        let fed = self.ids().len() - 1;
        let first = self.prompt_len() - 1;
        ends.iter()
            .zip(targets)
            .filter(move |&(&end, _)| (end as usize) < fed)
            .map(move |(&end, &q)| (end as usize - first, q))
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

/// Trains `model` and its value head at once, as AlphaMath does (arXiv:2405.03553): the loss of a batch is the mean of
/// -log pi(token | before) over the tokens of its paths, plus `value_weight` times the mean squared error of
/// V(s) = tanh(w . h) over its states, whose gradient reaches the whole policy. Paths of one tree share a row, in which a
/// token stands once, whether it is imitated, valued or both.
///
/// All else as in [`train_sft`](crate::train_sft).
pub fn train_joint(
    model: &mut Transformer,
    data: &[JointExample],
    value_weight: f64,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    config.check()?;
    above(0).check("value_weight", &value_weight)?;
    let objective = json!({ "value_weight": value_weight });
    let Start { rows, skipped, identity } = start::begin("joint", model, data, config, &objective, folder)?;
    start::prepare(model, config)?;
    let head = head_of(model).set_requires_grad(true);
    let mut parameters = start::parameters(model, config)?;
    parameters.push((HEAD.to_owned(), head.shallow_clone()));
    let mut optimizer = AdamW::new(&parameters, config)?;
    let examples: Vec<&JointExample> = rows.iter().map(|&row| &data[row]).collect();
    let groups: Vec<Group> = examples.iter().map(|example| example.group()).collect();
    let lengths = examples.iter().map(|example| example.ids().len()).collect();
    let plan = Plan::of_units(units(&groups, config.layout), lengths, config);
    let trained = Trained::new(model);
    let (masks, means) = (Masks::default(), Means::default());
    let mut stage = Joint { trained, head, value_weight, examples, groups, rows, config, masks, means };
    let run = Run { config, plan, folder, identity, observer };
    let summary = run.train(&mut stage, &mut optimizer)?;
    drop((optimizer, parameters));
    let head = stage.head.detach().copy();
    start::finish(model, config, folder)?;
    model.set_value_head(Some(head))?;
    Ok(TrainSummary { skipped, ..summary })
}

struct Joint<'a> {
    trained: Trained<'a>,
    /// w, `[H]`, float32.
    head: Tensor,
    value_weight: f64,
    examples: Vec<&'a JointExample>,
    groups: Vec<Group<'a>>,
    /// Index of each example among those given.
    rows: Vec<usize>,
    config: &'a TrainConfig,
    masks: Masks,
    means: Means,
}

impl Stage for Joint<'_> {
    fn parts(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        parts(&self.groups, rows, self.config.layout, self.config.micro_batch_tokens)
    }

    fn loss(&mut self, batch: &[usize], rows: &[usize]) -> Result<Part, TrainerError> {
        let groups: Vec<Group> = rows.iter().map(|&row| self.groups[row].clone()).collect();
        let Trained { model, window, device } = self.trained;
        let input = Batch::new(&groups, self.config.layout, window, &mut self.masks, device);
        let (states, checkpointed) = input.states(model, self.config.gradient_checkpointing);
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
        let tensor = |indices: &[i64]| Tensor::from_slice(indices).to_device(device);
        let logprobs = input.logprobs_of(model, &states, &tensor(&imitated));
        let hidden = input.states_of(&states, &tensor(&valued)).to_kind(Kind::Float);
        self.means.add("logps/token", &Vec::<f64>::try_from(logprobs.detach().to_kind(Kind::Double))?);
        let squares = squared_errors(&self.head, &hidden, &targets, &mut self.means)?;
        let imitation = -logprobs.sum(Kind::Float) / total(JointExample::imitated);
        let regression = squares / total(|example| example.states().count());
        Ok(Part { loss: imitation + regression * self.value_weight, tokens: input.tokens, checkpointed })
    }

    fn model(&self) -> Option<&Transformer> {
        Some(self.trained.model)
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }

    fn examples(&self, rows: &[usize]) -> Vec<Value> {
        rows.iter().map(|&row| start::example_json(self.rows[row], self.examples[row])).collect()
    }
}
