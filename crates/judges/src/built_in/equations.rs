//! `equations`: no equation of a step is false.

use super::each;
use crate::scorer::{Asked, Scope, Scorer};
use espalier_task::{Truth, equations};

/// Whether none of a step's equations fails when it is calculated again, see [`equations`]. A step without equations passes, and
/// so does one whose equations are unclear: what is not known to be false is not held against it. The equations themselves,
/// with their verdicts, are what that function gives.
#[derive(Clone, Copy, Debug)]
pub struct Equations;

impl Scorer for Equations {
    fn scope(&self) -> Scope {
        Scope::Step
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        each(asked, |one| Some(equations(one.step).iter().all(|equation| equation.truth != Truth::Fails)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};

    #[test]
    fn one_false_equation_is_enough() {
        let problem = math("5");
        let score = |step| Equations.score(&[Asked { is_end: false, ..end(&problem, step, None) }])[0];
        for step in ["6 * 8 = 48, so x = 5", "no numbers", "", "17 / 5 = 3 remainder 2"] {
            assert_eq!(score(step), Some(1.0), "{step}");
        }
        for step in ["16 + 16 = 20", r"6 * 8 = 48. Then 48 / 2 = 25. So \boxed{5}."] {
            assert_eq!(score(step), Some(0.0), "{step}");
        }
    }
}
