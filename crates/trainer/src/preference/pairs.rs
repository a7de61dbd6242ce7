//! Pairs of steps: their loss, and what is reported of them.

use super::numbers::{pair_inputs, record};
use super::{Scored, Shape};
use crate::batch::PromptSteps;
use crate::means::Means;
use crate::objectives::ErasedPair;
use crate::{PreferencePair, TrainerError};
use tch::{Kind, Tensor};

/// A loss over pairs, and the weight of the chosen step's likelihood beside it.
pub(super) struct PairLoss<'a> {
    pub loss: &'a dyn ErasedPair,
    pub sft_weight: f64,
}

impl Shape for PairLoss<'_> {
    type Example = PreferencePair;

    const NAME: &'static str = "preference";

    fn prompt_steps(pair: &PreferencePair) -> PromptSteps<'_> {
        pair.prompt_steps()
    }

    fn known_reference(pairs: &[&PreferencePair]) -> Option<Vec<f64>> {
        let known: Option<Vec<[f32; 2]>> = pairs.iter().map(|pair| pair.reference).collect();
        known.map(|known| known.iter().flatten().map(|&logprob| f64::from(logprob)).collect())
    }

    fn uses_reference(&self) -> bool {
        self.loss.about().uses_reference
    }

    fn loss(
        &self,
        scored: &Scored<PreferencePair>,
        batch_len: usize,
        means: &mut Means,
    ) -> Result<Tensor, TrainerError> {
        let x = pair_inputs(&scored.examples, &scored.lp, &scored.reference);
        let output = self.loss.evaluate(&x);
        record(means, &x, &output.chosen_rewards, &output.rejected_rewards, self.uses_reference())?;
        let losses =
            if self.sft_weight > 0.0 { output.losses - x.mean_lp_w() * self.sft_weight } else { output.losses };
        let weights: Vec<f64> = scored.examples.iter().map(|pair| f64::from(pair.weight)).collect();
        let weighted = losses * Tensor::from_slice(&weights).to_device(scored.lp.device());
        let loss = weighted.sum(Kind::Double) / batch_len as f64;
        record_gradients(means, &loss, &scored.lp)?;
        Ok(loss)
    }
}

/// Adds the chosen step's share of |dL/dlp_w| + |dL/dlp_l|, over the pairs that have a gradient.
fn record_gradients(means: &mut Means, loss: &Tensor, lp: &Tensor) -> Result<(), TrainerError> {
    let gradients = Tensor::f_run_backward(&[loss], &[lp], true, false)?;
    let gradients = Vec::<f64>::try_from(gradients[0].abs())?;
    let shares: Vec<f64> = gradients
        .chunks_exact(2)
        .filter(|both| both[0] + both[1] > 0.0)
        .map(|both| both[0] / (both[0] + both[1]))
        .collect();
    if !shares.is_empty() {
        means.add("gradient/chosen_share", &shares);
    }
    Ok(())
}
