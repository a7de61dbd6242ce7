//! The numbers of pairs and lists as the objectives take them, and what is reported of them.

use crate::means::Means;
use crate::objectives::PairInputs;
use crate::{PreferencePair, TrainerError};
use tch::{Kind, Tensor};

/// The numbers of `pairs`, `[B]` each, with log-probabilities `lp` `[2 B]` of chosen and rejected in turn, and
/// `reference` the same under the reference.
pub(super) fn pair_inputs(pairs: &[&PreferencePair], lp: &Tensor, reference: &[f64]) -> PairInputs {
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
pub(super) fn record(
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

/// Cosine of each of `states` `[K, H]` and the `best` of them, `[K]`, float64.
pub(super) fn similarity(states: &Tensor, best: usize) -> Tensor {
    let best = states.narrow(0, best as i64, 1);
    Tensor::cosine_similarity(states, &best, 1, 1e-8).to_kind(Kind::Double)
}

/// The indices of the greatest and the least Q; the first of equal ones. `q` is not empty and has no NaN.
pub(super) fn extremes(q: &[f64]) -> (usize, usize) {
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
