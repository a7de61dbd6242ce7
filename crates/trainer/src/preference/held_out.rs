//! What is measured on held-out pairs while a policy is trained.
//!
//! - `eval/loss` and the numbers of the training pairs, each with `eval/` before its name.
//! - On up to [`STATES`] states of the pairs (those that predict a step's tokens): `eval/top_k_mass`, the probability of
//!   the [`TOP_K`] likeliest tokens together, and `eval/entropy_top_k`, -sum of p log p over them. Both falling together
//!   is how over-optimisation of the likelihood shows (arXiv:2410.11677).
//! - `eval/kl`, KL(policy, reference) over the whole vocabulary, the mean over those states. The reference's
//!   distributions there are computed once, before the first step.

use super::numbers::{pair_inputs, record, similarity};
use super::reference::Reference;
use crate::batch::{Batch, Collator};
use crate::check::{Limits, SkippedRow, sift};
use crate::fit::Trainer;
use crate::means::Means;
use crate::metrics::Numbers;
use crate::objectives::{ListInputs, Loss};
use crate::{PreferencePair, TrainerError};
use espalier_model::Transformer;
use tch::{Kind, Tensor, no_grad};

/// Tokens whose mass and entropy are measured.
const TOP_K: i64 = 10;

/// States whose whole distribution is looked at.
const STATES: i64 = 256;

/// Held-out pairs with what the reference says of them.
pub(super) struct HeldOut<'a> {
    loss: &'a Loss,
    pairs: Vec<&'a PreferencePair>,
    collator: Collator<'a>,
    reference: Reference,
    /// log ref of every token at each looked-at state, `[N, V]`, float32, micro-batch after micro-batch.
    distributions: Vec<Tensor>,
}

impl<'a> HeldOut<'a> {
    /// Asks the model, which must be the reference now, about `pairs`. Nothing when there are none that can be used; says
    /// which cannot.
    pub fn new(
        pairs: &'a [PreferencePair],
        loss: &'a Loss,
        trainer: &mut Trainer,
    ) -> Result<(Option<HeldOut<'a>>, Vec<SkippedRow>), TrainerError> {
        let (rows, skipped) = sift(pairs, Limits::of(trainer.model));
        if rows.is_empty() {
            return Ok((None, skipped));
        }
        let pairs: Vec<&PreferencePair> = rows.iter().map(|&row| &pairs[row]).collect();
        let steps = pairs.iter().map(|pair| pair.prompt_steps()).collect();
        let mut collator = Collator::new(steps, trainer.model, trainer.config);
        let reference = Reference::afresh(&mut collator, trainer)?;
        let mut distributions = Vec::new();
        let mut left = STATES;
        for rows in collator.all() {
            let (_, states) = states(&mut collator, trainer.model, &rows);
            if let Some(looked_at) = take(&states, &mut left) {
                distributions.push(distribution(trainer.model, &looked_at));
            }
        }
        Ok((Some(HeldOut { loss, pairs, collator, reference, distributions }), skipped))
    }

    /// The numbers of the model as it is now.
    pub fn evaluate(&mut self, model: &Transformer) -> Result<Numbers, TrainerError> {
        let mut means = Means::default();
        let mut left = STATES;
        let mut before = self.distributions.iter();
        for rows in self.collator.all() {
            let (batch, states) = states(&mut self.collator, model, &rows);
            let lp = no_grad(|| batch.step_logprobs(model, &states));
            let pairs: Vec<&PreferencePair> = rows.iter().map(|&row| self.pairs[row]).collect();
            let reference = self.reference.rows(&rows);
            score(self.loss, &mut means, &pairs, &lp, &batch.step_states(&states), &reference)?;
            if let (Some(looked_at), Some(before)) = (take(&states, &mut left), before.next()) {
                describe(&mut means, &distribution(model, &looked_at), before)?;
            }
        }
        Ok(means.take())
    }
}

/// The pairs `rows` laid out, and their states without gradients.
fn states(collator: &mut Collator, model: &Transformer, rows: &[usize]) -> (Batch, Tensor) {
    let batch = collator.batch(rows);
    let states = no_grad(|| batch.states(model, false).0);
    (batch, states)
}

/// Loss and rankings of `pairs`, whose steps have log-probabilities `lp` `[2 B]` and states `[2 B, H]`.
fn score(
    loss: &Loss,
    means: &mut Means,
    pairs: &[&PreferencePair],
    lp: &Tensor,
    states: &Tensor,
    reference: &[f64],
) -> Result<(), TrainerError> {
    let x = pair_inputs(pairs, lp, reference);
    match loss {
        Loss::Pair(loss) => {
            let output = loss.evaluate(&x);
            means.add("loss", &Vec::<f64>::try_from(&output.losses)?);
            record(means, &x, &output.chosen_rewards, &output.rejected_rewards, loss.about().uses_reference)
        }
        Loss::List(loss) => {
            let both = |w: &Tensor, l: &Tensor| Tensor::stack(&[w, l], 1);
            let (lps, refs) = (both(&x.lp_w, &x.lp_l), both(&x.ref_w, &x.ref_l));
            let (qs, lens, visits) = (both(&x.q_w, &x.q_l), both(&x.len_w, &x.len_l), both(&x.n_w, &x.n_l));
            let mut rewards = Vec::new();
            for pair in 0..pairs.len() as i64 {
                let of = |columns: &Tensor| columns.get(pair);
                let similarity = similarity(&states.narrow(0, 2 * pair, 2), 0);
                let (lp, reference, q, len, n) = (of(&lps), of(&refs), of(&qs), of(&lens), of(&visits));
                let list = ListInputs { lp, reference, q, len, n, similarity };
                let output = loss.evaluate(&list);
                means.add("loss", &[output.loss.double_value(&[])]);
                rewards.push(output.rewards);
            }
            let rewards = Tensor::stack(&rewards, 0);
            record(means, &x, &rewards.select(1, 0), &rewards.select(1, 1), true)
        }
    }
}

/// The first of `states` that are still wanted, if any are.
fn take(states: &Tensor, left: &mut i64) -> Option<Tensor> {
    let rows = states.size()[0].min(*left);
    *left -= rows;
    (rows > 0).then(|| states.narrow(0, 0, rows))
}

/// log pi of every token at `states` `[N, H]`, `[N, V]`, float32.
fn distribution(model: &Transformer, states: &Tensor) -> Tensor {
    no_grad(|| model.logits(states).log_softmax(-1, Kind::Float))
}

/// Adds what `now` `[N, V]` says alone and against the reference's `before`.
fn describe(means: &mut Means, now: &Tensor, before: &Tensor) -> Result<(), TrainerError> {
    let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.to_kind(Kind::Double));
    let rows = |tensor: Tensor| tensor.sum_dim_intlist(-1, false, Kind::Float);
    let (top, _) = now.topk(TOP_K.min(now.size()[1]), -1, true, true);
    means.add("top_k_mass", &numbers(&rows(top.exp()))?);
    means.add("entropy_top_k", &numbers(&rows(-(top.exp() * &top)))?);
    means.add("kl", &numbers(&rows(now.exp() * (now - before)))?);
    Ok(())
}
