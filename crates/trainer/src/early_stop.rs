//! What the looks at held-out pairs decide: when to stop, which parameters were best, and when to warn.

use crate::metrics::Numbers;
use serde::{Deserialize, Serialize};

/// A share of its first value below which a number counts as fallen.
const FALLEN: f64 = 0.95;

/// The looks so far: a part of each saved state, so that none of an unsaved step is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EarlyStop {
    /// Entropy and mass of the likeliest tokens before the first step.
    first: Option<(f64, f64)>,
    /// Lowest loss and its step.
    best: Option<(f64, u64)>,
    /// Looks since then.
    since: u32,
    /// The warning, once there was reason for it.
    pub warning: Option<String>,
}

impl EarlyStop {
    /// Takes in the numbers of one look; says whether its loss is the lowest so far.
    pub fn take(&mut self, step: u64, numbers: &Numbers) -> bool {
        let of = |name: &str| numbers.iter().find(|(other, _)| *other == name).map(|&(_, value)| value);
        self.look(step, of("loss"), of("entropy_top_k").zip(of("top_k_mass")))
    }

    fn look(&mut self, step: u64, loss: Option<f64>, spread: Option<(f64, f64)>) -> bool {
        // JSON knows neither NaN nor infinity, and no comparison with them says anything.
        let spread = spread.filter(|(entropy, mass)| entropy.is_finite() && mass.is_finite());
        let first = *self.first.get_or_insert(spread.unwrap_or_default());
        if let Some((entropy, mass)) = spread
            && entropy < FALLEN * first.0
            && mass < FALLEN * first.1
            && self.warning.is_none()
        {
            self.warning = Some(format!(
                "likelihood over-optimisation at step {step}: on held-out states the {} fell from {:.3} to {entropy:.3} \
                 nats and their probability from {:.3} to {mass:.3}; train less, raise beta or add --sft-weight",
                "entropy of the likeliest tokens", first.0, first.1
            ));
        }
        let better = loss.is_some_and(|loss| loss.is_finite() && self.best.is_none_or(|(best, _)| loss < best));
        match loss {
            Some(loss) if better => {
                self.best = Some((loss, step));
                self.since = 0;
            }
            _ => self.since += 1,
        }
        better
    }

    /// Looks in a row without a lower loss.
    pub fn since(&self) -> u32 {
        self.since
    }

    /// The step of the lowest loss.
    pub fn best_step(&self) -> Option<u64> {
        self.best.map(|(_, step)| step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_loss_is_remembered_and_looks_since_are_counted() {
        let mut looks = EarlyStop::default();
        let better: Vec<bool> = [0.7, 0.6, 0.65, 0.6, 0.5]
            .iter()
            .zip(0..)
            .map(|(&loss, step)| looks.look(step, Some(loss), None))
            .collect();
        assert_eq!(better, [true, true, false, false, true]);
        assert_eq!((looks.best_step(), looks.since()), (Some(4), 0));
        assert!(!looks.look(5, Some(f64::NAN), None), "no loss is lower than none");
        assert_eq!(looks.since(), 1);
    }

    #[test]
    fn entropy_and_mass_falling_together_are_the_warning() {
        let mut looks = EarlyStop::default();
        looks.look(0, None, Some((1.0, 0.9)));
        looks.look(1, None, Some((0.5, 0.95)));
        looks.look(2, None, Some((1.2, 0.5)));
        assert_eq!(looks.warning, None);
        looks.look(3, None, Some((0.9, 0.8)));
        assert!(looks.warning.unwrap().contains("at step 3"));
    }
}
