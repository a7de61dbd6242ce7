//! Preference training on pairs of steps.

use crate::batch::{Batch, Group, Masks, parts, units};
use crate::held_out::HeldOut;
use crate::means::Means;
use crate::metrics::{Numbers, Observer};
use crate::objectives::{ErasedPair, Loss, Objective, PairInputs};
use crate::optimizer::AdamW;
use crate::order::Plan;
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
/// log-probabilities are the pairs' own if every pair has them, else they are computed first, in one pass without
/// gradients, and kept beside the state. Metrics and the state to resume from go to `folder`; a call that was interrupted
/// continues when it is repeated, and ends with the same bits. Pairs that cannot be trained on are skipped and listed.
///
/// `held_out` pairs are looked at before the first step and as often as `config` says; they decide an early stop. With
/// LoRA the adapters are saved to `folder/adapter` and merged into the model.
pub fn train_preference(
    model: &mut Transformer,
    data: &[PreferencePair],
    held_out: &[PreferencePair],
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
    start::prepare(model, config)?;
    let pairs: Vec<&PreferencePair> = rows.iter().map(|&row| &data[row]).collect();
    let groups: Vec<Group> = pairs.iter().map(|pair| pair.group()).collect();
    let reference = if loss.about().uses_reference {
        let known: Option<Vec<f64>> = pairs
            .iter()
            .map(|pair| pair.reference)
            .collect::<Option<Vec<_>>>()
            .map(|known| known.iter().flatten().map(|&logprob| f64::from(logprob)).collect());
        Some(match known {
            Some(known) => known,
            None => {
                let folder = state_folder(folder);
                reference_logprobs(Trained::new(model), &groups, config, &identity, &folder, observer)?
            }
        })
    } else {
        None
    };
    let (held_out, unusable) = HeldOut::new(Trained::new(model), held_out, objective.loss(), config, observer)?;
    let mut optimizer = AdamW::new(&start::parameters(model, config)?, config)?;
    let widths = groups.iter().map(|group| group.width(config.layout)).collect();
    let plan = Plan::of_units(units(&groups, config.layout), widths, config);
    let mut stage = Preference {
        trained: Trained::new(model),
        loss: loss.as_ref(),
        sft_weight: objective.sft_weight(),
        pairs,
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
    held_out: Option<HeldOut<'a>>,
    config: &'a TrainConfig,
    masks: Masks,
    means: Means,
}

/// The numbers of `pairs`, `[B]` each, with log-probabilities `lp` `[2 B]` of chosen and rejected in turn, and
/// `reference` the same under the reference.
pub(crate) fn pair_inputs(pairs: &[&PreferencePair], lp: &Tensor, reference: &[f64]) -> PairInputs {
    let lp = lp.view([-1, 2]);
    let tensor = |values: Vec<f64>| Tensor::from_slice(&values).to_device(lp.device());
    let column = |number: &dyn Fn(&PreferencePair) -> f64| tensor(pairs.iter().map(|pair| number(pair)).collect());
    let side = |side: usize| tensor(reference.chunks_exact(2).map(|both| both[side]).collect());
    PairInputs {
        lp_w: lp.select(1, 0),
        lp_l: lp.select(1, 1),
        ref_w: side(0),
        ref_l: side(1),
        len_w: column(&|pair| pair.chosen_ids.len() as f64),
        len_l: column(&|pair| pair.rejected_ids.len() as f64),
        q_w: column(&|pair| f64::from(pair.q_chosen) * f64::from(pair.q_scale)),
        q_l: column(&|pair| f64::from(pair.q_rejected) * f64::from(pair.q_scale)),
        n_w: column(&|pair| f64::from(pair.visits_chosen)),
        n_l: column(&|pair| f64::from(pair.visits_rejected)),
    }
}

/// Adds what is reported of pairs: rewards, log-probabilities, who ranks them right, and how far both steps moved.
pub(crate) fn record(
    means: &mut Means,
    x: &PairInputs,
    chosen: &Tensor,
    rejected: &Tensor,
    uses_reference: bool,
) -> Result<(), TrainerError> {
    let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.detach());
    let above = |a: &Tensor, b: &Tensor| numbers(&a.gt_tensor(b).to_kind(Kind::Double));
    means.add("rewards/chosen", &numbers(chosen)?);
    means.add("rewards/rejected", &numbers(rejected)?);
    means.add("rewards/margins", &numbers(&(chosen - rejected))?);
    means.add("rewards/accuracies", &above(chosen, rejected)?);
    means.add("logps/chosen", &numbers(&x.lp_w)?);
    means.add("logps/rejected", &numbers(&x.lp_l)?);
    means.add("ranking/policy", &above(&x.lp_w, &x.lp_l)?);
    means.add("ranking/policy_per_token", &above(&x.mean_lp_w(), &x.mean_lp_l())?);
    if uses_reference {
        means.add("ranking/reference", &above(&x.ref_w, &x.ref_l)?);
        let (w, l) = (&x.ref_w / &x.len_w, &x.ref_l / &x.len_l);
        means.add("ranking/reference_per_token", &above(&w, &l)?);
        means.add("displacement/chosen", &numbers(&x.r_w())?);
        means.add("displacement/rejected", &numbers(&x.r_l())?);
    }
    Ok(())
}

impl Preference<'_> {
    /// Adds the chosen step's share of |dL/dlp_w| + |dL/dlp_l|, over the pairs that have a gradient.
    fn record_gradients(&mut self, loss: &Tensor, lp: &Tensor) -> Result<(), TrainerError> {
        let gradients = Tensor::f_run_backward(&[loss], &[lp], true, false)?;
        let gradients = Vec::<f64>::try_from(gradients[0].abs())?;
        let shares: Vec<f64> = gradients
            .chunks_exact(2)
            .filter(|both| both[0] + both[1] > 0.0)
            .map(|both| both[0] / (both[0] + both[1]))
            .collect();
        if !shares.is_empty() {
            self.means.add("gradient/chosen_share", &shares);
        }
        Ok(())
    }
}

impl Stage for Preference<'_> {
    fn parts(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        parts(&self.groups, rows, self.config.layout, self.config.micro_batch_tokens)
    }

    fn loss(&mut self, batch: &[usize], rows: &[usize]) -> Result<Part, TrainerError> {
        let Trained { model, window, device } = self.trained;
        let groups: Vec<Group> = rows.iter().map(|&row| self.groups[row].clone()).collect();
        let input = Batch::new(&groups, self.config.layout, window, &mut self.masks, device);
        let (states, checkpointed) = input.states(model, self.config.gradient_checkpointing);
        let lp = input.step_logprobs(model, &states);
        let pairs: Vec<&PreferencePair> = rows.iter().map(|&row| self.pairs[row]).collect();
        let known = |at: usize| self.reference.as_ref().map_or(0.0, |reference| reference[at]);
        let reference: Vec<f64> = rows.iter().flat_map(|&row| [known(2 * row), known(2 * row + 1)]).collect();
        let x = pair_inputs(&pairs, &lp, &reference);
        let output = self.loss.evaluate(&x);
        record(&mut self.means, &x, &output.chosen_rewards, &output.rejected_rewards, self.reference.is_some())?;
        let losses =
            if self.sft_weight > 0.0 { output.losses - x.mean_lp_w() * self.sft_weight } else { output.losses };
        let weights: Vec<f64> = pairs.iter().map(|pair| f64::from(pair.weight)).collect();
        let weighted = losses * Tensor::from_slice(&weights).to_device(device);
        let loss = weighted.sum(Kind::Double) / batch.len() as f64;
        self.record_gradients(&loss, &lp)?;
        Ok(Part { loss, tokens: input.tokens, checkpointed })
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
        rows.iter().map(|&row| start::example_json(self.rows[row], self.pairs[row])).collect()
    }
}
