//! `choices`: the answer is one of the letters that the question offers.

use super::each;
use crate::scorer::{Asked, Scope, Scorer};
use espalier_task::{AnswerKind, extract};

/// Whether an answer chooses one of the problem's choices, right or wrong. Nothing is said of other problems.
#[derive(Clone, Copy, Debug)]
pub struct Choices;

impl Scorer for Choices {
    fn scope(&self) -> Scope {
        Scope::Path
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        each(asked, |one| {
            if !one.is_end || one.problem.kind != AnswerKind::Choice {
                return None;
            }
            let last = last_choice(&one.problem.question)?;
            let chosen = extract(one.answer.unwrap_or_default(), AnswerKind::Choice);
            Some(chosen.is_some_and(|(letter, _)| letter.as_str() <= last.to_string().as_str()))
        })
    }
}

/// The last of the letters `(A)`, `(B)`, .. that stand in a question in this order; at least two.
fn last_choice(question: &str) -> Option<char> {
    let mut rest = question;
    let mut last = None;
    for letter in 'A'..='Z' {
        let Some((_, after)) = rest.split_once(&format!("({letter})")) else { break };
        (rest, last) = (after, Some(letter));
    }
    last.filter(|&letter| letter > 'A')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};
    use espalier_task::Problem;

    #[test]
    fn an_answer_is_one_of_the_letters() {
        let question = "Which?\n(A) one\n(B) two\n(C) three\nAnswer with a letter from A to C.".to_owned();
        let problem = Problem { kind: AnswerKind::Choice, question, ..math("B") };
        let score = |answer| Choices.score(&[end(&problem, "", answer)])[0];
        for chosen in ["A", "C", "(B)", "B. two", r"\text{C}"] {
            assert_eq!(score(Some(chosen)), Some(1.0), "{chosen}");
        }
        for other in [Some("D"), Some("two"), Some("b"), Some("12"), Some("A or B"), Some(""), None] {
            assert_eq!(score(other), Some(0.0), "{other:?}");
        }
        let others = [math("B"), Problem { question: "(A) alone".into(), ..problem.clone() }];
        assert_eq!(others.map(|other| Choices.score(&[end(&other, "", Some("B"))])[0]), [None, None]);
        assert_eq!(Choices.score(&[Asked { is_end: false, ..end(&problem, "", None) }]), [None]);
    }
}
