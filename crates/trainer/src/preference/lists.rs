//! Lists of siblings: their loss, and what is reported of the best and the worst of each.

use super::numbers::{extremes, similarity};
use super::{Scored, Shape};
use crate::batch::PromptSteps;
use crate::means::Means;
use crate::objectives::{ErasedList, ListInputs};
use crate::{SiblingList, TrainerError};
use tch::{Kind, Tensor};

/// A loss over lists, and the weight of the best step's likelihood beside it.
pub(super) struct ListLoss<'a> {
    pub loss: &'a dyn ErasedList,
    pub sft_weight: f64,
}

impl Shape for ListLoss<'_> {
    type Example = SiblingList;

    const NAME: &'static str = "siblings";

    fn prompt_steps(list: &SiblingList) -> PromptSteps<'_> {
        PromptSteps { prompt: &list.prompt_ids, steps: list.steps.iter().map(Vec::as_slice).collect() }
    }

    fn known_reference(_: &[&SiblingList]) -> Option<Vec<f64>> {
        None
    }

    fn uses_reference(&self) -> bool {
        true
    }

    fn loss(&self, scored: &Scored<SiblingList>, batch_len: usize, means: &mut Means) -> Result<Tensor, TrainerError> {
        let of_steps = scored.batch.step_states(scored.states);
        let mut total = Tensor::zeros([], (Kind::Double, scored.lp.device()));
        let mut start = 0;
        for list in &scored.examples {
            let steps = list.steps.len();
            let own = |all: &Tensor| all.narrow(0, start as i64, steps as i64);
            let reference = &scored.reference[start..start + steps];
            total += self.list_loss(list, own(&scored.lp), &own(&of_steps), reference, means)?;
            start += steps;
        }
        Ok(total / batch_len as f64)
    }
}

impl ListLoss<'_> {
    /// The loss of one list, a scalar, from its steps' log-probabilities `lp` `[K]`, states `[K, H]` and `reference` `[K]`.
    fn list_loss(
        &self,
        list: &SiblingList,
        lp: Tensor,
        states: &Tensor,
        reference: &[f64],
        means: &mut Means,
    ) -> Result<Tensor, TrainerError> {
        let device = lp.device();
        let tensor = |values: &[f64]| Tensor::from_slice(values).to_device(device);
        let lengths: Vec<f64> = list.steps.iter().map(|step| step.len() as f64).collect();
        let numbers = Vec::<f64>::try_from(lp.detach())?;
        let q: Vec<f64> = list.q.iter().map(|&q| f64::from(q * list.q_scale)).collect();
        let (best, worst) = extremes(&q);
        let sft = -lp.get(best as i64) * (self.sft_weight / lengths[best]);
        let x = ListInputs {
            lp,
            reference: tensor(reference),
            q: tensor(&q),
            len: tensor(&lengths),
            n: tensor(&list.visits.iter().map(|&visits| f64::from(visits)).collect::<Vec<_>>()),
            similarity: similarity(states, best),
        };
        let output = self.loss.evaluate(&x);
        let rewards = Vec::<f64>::try_from(output.rewards)?;
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
