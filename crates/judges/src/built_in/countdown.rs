//! `countdown`: the answer makes the target from the numbers.

use super::each;
use crate::scorer::{Asked, Scope, Scorer};
use espalier_task::Puzzle;

/// Whether the answer makes the target of a [`Puzzle`]. Nothing is said of a question that is none.
#[derive(Clone, Copy, Debug)]
pub struct Countdown;

impl Scorer for Countdown {
    fn scope(&self) -> Scope {
        Scope::Path
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        each(asked, |one| {
            let puzzle = Puzzle::read(&one.problem.question).filter(|_| one.is_end)?;
            Some(one.answer.is_some_and(|answer| puzzle.solves(answer)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};
    use espalier_task::Problem;

    #[test]
    fn any_way_to_the_target_passes() {
        let puzzle = Puzzle { numbers: vec![25, 5, 3, 7], target: 67 };
        let problem = Problem { question: puzzle.question(), ..math("(25 - 5) * 3 + 7") };
        let score = |answer| Countdown.score(&[end(&problem, "", answer)])[0];
        assert_eq!(score(Some("7 + 3 * (25 - 5)")), Some(1.0));
        assert_eq!([score(Some("67")), score(Some("(25 - 5) * 3")), score(None)], [Some(0.0); 3]);
        assert_eq!(Countdown.score(&[end(&math("67"), "", Some("67"))]), [None]);
    }
}
