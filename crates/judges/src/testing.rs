//! Questions for tests.

use crate::scorer::Asked;
use espalier_task::Problem;

/// A problem with this reference.
pub(crate) fn math(answer: &str) -> Problem {
    Problem { id: "problem".into(), question: "How many?".into(), answer: answer.into(), ..Problem::default() }
}

/// A path that ends with its first step.
pub(crate) fn end<'a>(problem: &'a Problem, step: &'a str, answer: Option<&'a str>) -> Asked<'a> {
    Asked { problem, steps: &[], step, answer, is_end: true }
}
