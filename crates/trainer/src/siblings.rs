//! Preference training on all siblings of a state, by a loss over lists.

use crate::batch::{Batch, Group, Masks, parts, units};
use crate::held_out::HeldOut;
use crate::means::Means;
use crate::metrics::{Numbers, Observer};
use crate::objectives::{ErasedList, ListInputs, Loss, Objective};
use crate::optimizer::AdamW;
use crate::order::Plan;
use crate::reference::reference_logprobs;
use crate::resume::state_folder;
use crate::run::{Part, Run, Stage, TrainSummary};
use crate::start::{self, Start, Trained};
use crate::{PreferencePair, SiblingList, TrainConfig, TrainerError};
use espalier_model::Transformer;
use serde_json::Value;
use std::path::Path;
use tch::{Kind, Tensor};

/// Trains `model` on lists of siblings by `objective`; all else as in [`train_preference`](crate::train_preference).
pub fn train_siblings(
    model: &mut Transformer,
    data: &[SiblingList],
    held_out: &[PreferencePair],
    objective: &Objective,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    config.check()?;
    objective.check_composition()?;
    let Loss::List(loss) = objective.loss() else {
        let objective = objective.about().name;
        return Err(TrainerError::WrongShape { objective, takes: "pairs", given: "lists of siblings" });
    };
    let Start { rows, skipped, identity } =
        start::begin("siblings", model, data, config, &objective.describe(), folder)?;
    start::prepare(model, config)?;
    let lists: Vec<&SiblingList> = rows.iter().map(|&row| &data[row]).collect();
    let groups: Vec<Group> = lists
        .iter()
        .map(|list| Group { prompt: &list.prompt_ids, steps: list.steps.iter().map(Vec::as_slice).collect() })
        .collect();
    let flat = reference_logprobs(Trained::new(model), &groups, config, &identity, &state_folder(folder), observer)?;
    let mut flat = flat.as_slice();
    let reference = lists
        .iter()
        .map(|list| {
            let (own, rest) = flat.split_at(list.steps.len());
            flat = rest;
            own.to_vec()
        })
        .collect();
    let (held_out, unusable) = HeldOut::new(Trained::new(model), held_out, objective.loss(), config, observer)?;
    let mut optimizer = AdamW::new(&start::parameters(model, config)?, config)?;
    let widths = groups.iter().map(|group| group.width(config.layout)).collect();
    let plan = Plan::of_units(units(&groups, config.layout), widths, config);
    let mut stage = Siblings {
        trained: Trained::new(model),
        loss: loss.as_ref(),
        sft_weight: objective.sft_weight(),
        lists,
        groups,
        rows,
        reference,
        held_out,
        config,
        masks: Masks::default(),
        means: Means::default(),
    };
    let run = Run { config, plan, folder, identity, observer };
    let summary = run.train(&mut stage, &mut optimizer)?;
    drop(optimizer);
    start::finish(model, config, folder)?;
    Ok(TrainSummary { skipped, held_out_skipped: unusable, ..summary })
}

struct Siblings<'a> {
    trained: Trained<'a>,
    loss: &'a dyn ErasedList,
    sft_weight: f64,
    lists: Vec<&'a SiblingList>,
    groups: Vec<Group<'a>>,
    /// Index of each list among those given.
    rows: Vec<usize>,
    /// Log-probability of each step of each list.
    reference: Vec<Vec<f64>>,
    held_out: Option<HeldOut<'a>>,
    config: &'a TrainConfig,
    masks: Masks,
    means: Means,
}

impl Siblings<'_> {
    /// The loss of one list, a scalar, from its steps' log-probabilities `lp` `[K]` and states `[K, H]`.
    fn list_loss(&mut self, row: usize, lp: Tensor, states: &Tensor) -> Result<Tensor, TrainerError> {
        let list = self.lists[row];
        let device = lp.device();
        let tensor = |values: Vec<f64>| Tensor::from_slice(&values).to_device(device);
        let lengths: Vec<f64> = list.steps.iter().map(|step| step.len() as f64).collect();
        let numbers = Vec::<f64>::try_from(lp.detach())?;
        let (best, worst) = extremes(&list.q);
        let sft = -lp.get(best as i64) * (self.sft_weight / lengths[best]);
        let reference = &self.reference[row];
        let x = ListInputs {
            lp,
            reference: tensor(reference.clone()),
            q: tensor(list.q.iter().map(|&q| f64::from(q)).collect()),
            len: tensor(lengths),
            similarity: similarity(states, best),
        };
        let output = self.loss.evaluate(&x);
        let rewards = Vec::<f64>::try_from(output.rewards)?;
        let means = &mut self.means;
        means.add("rewards/chosen", &[rewards[best]]);
        means.add("rewards/rejected", &[rewards[worst]]);
        means.add("rewards/margins", &[rewards[best] - rewards[worst]]);
        means.add("rewards/accuracies", &[f64::from(u8::from(rewards[best] > rewards[worst]))]);
        means.add("logps/chosen", &[numbers[best]]);
        means.add("logps/rejected", &[numbers[worst]]);
        means.add("displacement/chosen", &[numbers[best] - reference[best]]);
        means.add("displacement/rejected", &[numbers[worst] - reference[worst]]);
        Ok((output.loss + sft) * f64::from(list.weight))
    }
}

/// Cosine of each of `states` `[K, H]` and the `best` of them, `[K]`, float64.
pub(crate) fn similarity(states: &Tensor, best: usize) -> Tensor {
    let best = states.narrow(0, best as i64, 1);
    Tensor::cosine_similarity(states, &best, 1, 1e-8).to_kind(Kind::Double)
}

/// The indices of the greatest and the least Q; the first of equal ones. `q` is not empty and has no NaN.
fn extremes(q: &[f32]) -> (usize, usize) {
    let (mut best, mut worst) = (0, 0);
    for (i, &value) in q.iter().enumerate() {
        if value > q[best] {
            best = i;
        }
        if value < q[worst] {
            worst = i;
        }
    }
    (best, worst)
}

impl Stage for Siblings<'_> {
    fn parts(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        parts(&self.groups, rows, self.config.layout, self.config.micro_batch_tokens)
    }

    fn loss(&mut self, batch: &[usize], rows: &[usize]) -> Result<Part, TrainerError> {
        let Trained { model, window, device } = self.trained;
        let groups: Vec<Group> = rows.iter().map(|&row| self.groups[row].clone()).collect();
        let input = Batch::new(&groups, self.config.layout, window, &mut self.masks, device);
        let (states, checkpointed) = input.states(model, self.config.gradient_checkpointing);
        let lp = input.step_logprobs(model, &states);
        let of_steps = input.step_states(&states);
        let (mut total, mut start) = (Tensor::zeros([], (Kind::Double, device)), 0);
        for &row in rows {
            let steps = self.lists[row].steps.len() as i64;
            total += self.list_loss(row, lp.narrow(0, start, steps), &of_steps.narrow(0, start, steps))?;
            start += steps;
        }
        Ok(Part { loss: total / batch.len() as f64, tokens: input.tokens, checkpointed })
    }

    fn model(&self) -> Option<&Transformer> {
        Some(self.trained.model)
    }

    fn evaluate(&mut self) -> Result<Option<Numbers>, TrainerError> {
        self.held_out.as_mut().map(|held_out| held_out.evaluate(self.trained)).transpose()
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }

    fn examples(&self, rows: &[usize]) -> Vec<Value> {
        rows.iter().map(|&row| start::example_json(self.rows[row], self.lists[row])).collect()
    }
}
