//! `answer`: the final answer is the reference.

use super::each;
use crate::scorer::{Asked, Scope, Scorer};

/// Whether the answer at the end of a path is right, as [`Problem::is_right`](espalier_task::Problem::is_right) has it: the same
/// as the reference, or, of a countdown, a calculation that makes the target. An end without an answer is wrong. Nothing is said
/// without a reference, nor of programs, which only their tests can tell.
#[derive(Clone, Copy, Debug)]
pub struct Answer;

impl Scorer for Answer {
    fn scope(&self) -> Scope {
        Scope::Path
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        each(asked, |one| if one.is_end { one.problem.is_right(one.answer.unwrap_or_default()) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};
    use espalier_task::{AnswerKind, Problem};

    #[test]
    fn answers_are_compared_with_the_reference() {
        let (half, none) = (math("1/2"), math(" "));
        let code = Problem { kind: AnswerKind::Code, ..math("return 1") };
        let asked = [
            end(&half, "so 0.5", Some("0.5")),
            end(&half, "so 2", Some("2")),
            end(&half, "no answer", None),
            Asked { is_end: false, ..end(&half, "a step", None) },
            end(&none, "so 0.5", Some("0.5")),
            end(&code, "return 1", Some("return 1")),
        ];
        assert_eq!(Answer.score(&asked), [Some(1.0), Some(0.0), Some(0.0), None, None, None]);
        assert_eq!((Answer.scope(), Answer.takes_time()), (Scope::Path, false));
    }
}
