//! Preference training on pairs of steps.

use crate::batch::{Batch, Group, Masks};
use crate::means::Means;
use crate::metrics::{Numbers, Observer};
use crate::objectives::{ErasedPair, Loss, Objective, PairInputs, PairOutput};
use crate::optimizer::AdamW;
use crate::order::{Plan, micro_batches};
use crate::reference::reference_logprobs;
use crate::resume::state_folder;
use crate::run::{Part, Run, Stage, TrainSummary};
use crate::start::{self, Start, Trained};
use crate::{PreferencePair, TrainConfig, TrainerError};
use espalier_model::Transformer;
use serde_json::Value;
use std::path::Path;
use tch::{Kind, Tensor};

/// Trains `model` on pairs of steps by `objective`.
///
/// The loss of a batch of B pairs is sum(weight * loss) / B. The reference is the model as it is given: its
/// log-probabilities are computed first, in one pass without gradients, and kept beside the state. Metrics and the state
/// to resume from go to `folder`; a call that was interrupted continues when it is repeated, and ends with the same
/// bits. Pairs that cannot be trained on are skipped and listed.
pub fn train_preference(
    model: &mut Transformer,
    data: &[PreferencePair],
    objective: &Objective,
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    config.check()?;
    objective.check_composition()?;
    let Loss::Pair(loss) = objective.loss() else {
        let objective = objective.about().name;
        return Err(TrainerError::WrongShape { objective, takes: "lists of siblings", given: "pairs" });
    };
    let Start { rows, skipped, identity } =
        start::begin("preference", model, data, config, &objective.describe(), folder)?;
    let pairs: Vec<&PreferencePair> = rows.iter().map(|&row| &data[row]).collect();
    let groups: Vec<Group> = pairs
        .iter()
        .map(|pair| Group { prompt: &pair.prompt_ids, steps: vec![&pair.chosen_ids, &pair.rejected_ids] })
        .collect();
    let reference = if loss.about().uses_reference {
        let folder = state_folder(folder);
        Some(reference_logprobs(Trained::new(model), &groups, config, &identity, &folder, observer)?)
    } else {
        None
    };
    let mut optimizer = AdamW::new(&start::parameters(model), config)?;
    let widths = groups.iter().map(|group| group.width(config.layout)).collect();
    let plan = Plan::new(widths, config.batch_size, config.seed, config.order);
    let mut stage = Preference {
        trained: Trained::new(model),
        loss: loss.as_ref(),
        sft_weight: objective.sft_weight(),
        pairs,
        groups,
        rows,
        reference,
        config,
        masks: Masks::default(),
        means: Means::default(),
    };
    let run = Run { config, plan, folder, identity, observer };
    let summary = run.train(&mut stage, &mut optimizer)?;
    Ok(TrainSummary { skipped, ..summary })
}

struct Preference<'a> {
    trained: Trained<'a>,
    loss: &'a dyn ErasedPair,
    sft_weight: f64,
    pairs: Vec<&'a PreferencePair>,
    /// Prompt, chosen, rejected of each pair.
    groups: Vec<Group<'a>>,
    /// Index of each pair among those given.
    rows: Vec<usize>,
    /// Log-probabilities of chosen and rejected of each pair in turn; none if the objective needs none.
    reference: Option<Vec<f64>>,
    config: &'a TrainConfig,
    masks: Masks,
    means: Means,
}

impl Preference<'_> {
    /// The numbers of the pairs `rows`, `[B]` each, with log-probabilities `lp` `[2 B]` of chosen and rejected in turn.
    fn inputs(&self, rows: &[usize], lp: &Tensor) -> PairInputs {
        let lp = lp.view([-1, 2]);
        let tensor = |values: Vec<f64>| Tensor::from_slice(&values).to_device(lp.device());
        let column =
            |number: &dyn Fn(&PreferencePair) -> f64| tensor(rows.iter().map(|&row| number(self.pairs[row])).collect());
        let reference = |side: usize| {
            let of = |row: usize| self.reference.as_ref().map_or(0.0, |reference| reference[2 * row + side]);
            tensor(rows.iter().map(|&row| of(row)).collect())
        };
        PairInputs {
            lp_w: lp.select(1, 0),
            lp_l: lp.select(1, 1),
            ref_w: reference(0),
            ref_l: reference(1),
            len_w: column(&|pair| pair.chosen_ids.len() as f64),
            len_l: column(&|pair| pair.rejected_ids.len() as f64),
            q_w: column(&|pair| f64::from(pair.q_chosen) * f64::from(pair.q_scale)),
            q_l: column(&|pair| f64::from(pair.q_rejected) * f64::from(pair.q_scale)),
            n_w: column(&|pair| f64::from(pair.visits_chosen)),
            n_l: column(&|pair| f64::from(pair.visits_rejected)),
        }
    }

    fn record(&mut self, x: &PairInputs, output: &PairOutput) -> Result<(), TrainerError> {
        let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.detach());
        let above = |a: &Tensor, b: &Tensor| numbers(&a.gt_tensor(b).to_kind(Kind::Double));
        let (chosen, rejected) = (&output.chosen_rewards, &output.rejected_rewards);
        let means = &mut self.means;
        means.add("rewards/chosen", &numbers(chosen)?);
        means.add("rewards/rejected", &numbers(rejected)?);
        means.add("rewards/margins", &numbers(&(chosen - rejected))?);
        means.add("rewards/accuracies", &above(chosen, rejected)?);
        means.add("logps/chosen", &numbers(&x.lp_w)?);
        means.add("logps/rejected", &numbers(&x.lp_l)?);
        means.add("ranking/policy", &above(&x.lp_w, &x.lp_l)?);
        means.add("ranking/policy_per_token", &above(&x.mean_lp_w(), &x.mean_lp_l())?);
        if self.reference.is_some() {
            means.add("ranking/reference", &above(&x.ref_w, &x.ref_l)?);
            let (w, l) = (&x.ref_w / &x.len_w, &x.ref_l / &x.len_l);
            means.add("ranking/reference_per_token", &above(&w, &l)?);
            means.add("displacement/chosen", &numbers(&x.r_w())?);
            means.add("displacement/rejected", &numbers(&x.r_l())?);
        }
        Ok(())
    }
}

impl Stage for Preference<'_> {
    fn parts(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        micro_batches(rows, self.config.micro_batch_tokens, |row| self.groups[row].width(self.config.layout))
    }

    fn loss(&mut self, batch: &[usize], rows: &[usize]) -> Result<Part, TrainerError> {
        let Trained { model, window, device } = self.trained;
        let groups: Vec<Group> = rows.iter().map(|&row| self.groups[row].clone()).collect();
        let input = Batch::new(&groups, self.config.layout, window, &mut self.masks, device);
        let x = self.inputs(rows, &input.step_logprobs(model));
        let output = self.loss.evaluate(&x);
        self.record(&x, &output)?;
        let losses =
            if self.sft_weight > 0.0 { output.losses - x.mean_lp_w() * self.sft_weight } else { output.losses };
        let weights: Vec<f64> = rows.iter().map(|&row| f64::from(self.pairs[row].weight)).collect();
        let weighted = losses * Tensor::from_slice(&weights).to_device(device);
        Ok(Part { loss: weighted.sum(Kind::Double) / batch.len() as f64, tokens: input.tokens })
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }

    fn examples(&self, rows: &[usize]) -> Vec<Value> {
        rows.iter().map(|&row| start::example_json(self.rows[row], self.pairs[row])).collect()
    }
}
