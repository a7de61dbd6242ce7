//! `route`: the answer is a walk to the goal, and the steps are that walk.

use super::each;
use crate::scorer::{Asked, Scope, Scorer};

/// Whether the answer is a walk that a [`Route`](espalier_task::Route) asks for, and the moves that the steps tell are those of
/// the answer, each to the cell that it leads to. A right answer behind other moves was not found by them, and would teach
/// them. Nothing is said of a question that asks for no route.
#[derive(Clone, Copy, Debug)]
pub struct Route;

impl Scorer for Route {
    fn scope(&self) -> Scope {
        Scope::Path
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        each(asked, |one| {
            let route = espalier_task::Route::read(&one.problem.question).filter(|_| one.is_end)?;
            let steps = one.steps.iter().chain([&one.step]).copied();
            Some(one.answer.is_some_and(|answer| route.solves(answer) && route.is_told_by(steps, answer)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};
    use espalier_task::Problem;

    #[test]
    fn the_steps_must_be_the_walk_of_the_answer() {
        let question = "Cells a1 to d4. Closed: b1. Walk from a1 to b2 in at most 2 moves.";
        let problem = Problem { question: question.into(), ..math("north, east") };
        let score = |steps: &[&str], answer| {
            let step = "</plan><solution>The final answer is \\boxed{..}.</solution>";
            Route.score(&[Asked { steps, ..end(&problem, step, answer) }])[0]
        };
        let walk = ["<step>Plan 1: north to a2</step>", "<step>Plan 2: east to b2</step>"];
        assert_eq!(score(&walk, Some("north, east")), Some(1.0));
        assert_eq!(score(&[], Some("north, east")), Some(1.0), "no moves are told");
        let other = ["<step>Plan 1: north to a2</step>", "<step>Plan 2: north to a3</step>"];
        assert_eq!([score(&other, Some("north, east")), score(&walk[..1], Some("north, east"))], [Some(0.0); 2]);
        let elsewhere = ["<step>Plan 1: north to a3</step>", "<step>Plan 2: east to b2</step>"];
        assert_eq!([score(&elsewhere, Some("north, east")), score(&walk, Some("north"))], [Some(0.0); 2]);
        assert_eq!([score(&walk, None), score(&[], Some("east, north"))], [Some(0.0); 2]);
        assert_eq!(Route.score(&[end(&math("north"), "", Some("north"))]), [None]);
    }
}
