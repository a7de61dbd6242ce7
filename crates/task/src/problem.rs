//! What a problem is.

use crate::answer::{AnswerKind, Puzzle, Route, equivalent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A question with its reference answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique in its set; runs, trees, and pairs are traced by it.
    pub id: String,
    /// The question, as the model reads it. Choices are part of it.
    pub question: String,
    /// The reference answer, without the working that led to it.
    pub answer: String,
    /// What kind of answer it is.
    #[serde(default, skip_serializing_if = "is_math")]
    pub kind: AnswerKind,
    /// The generated family, or the publisher's category, that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The number of steps that its solution takes, or the publisher's level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u32>,
    /// A worked solution, to learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution: Option<Worked>,
    /// For [`AnswerKind::Code`]: what the answer's program is tested by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<CodeTests>,
    /// What fills the slots of a task for this problem, by the slots' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, String>,
}

impl Problem {
    /// Whether an answer is right, as far as answers show it: [`equivalent`] to the reference, or, of a countdown or a route, one that
    /// makes the target or gets there. `None` where nothing says what is right: without a reference, or if only tests can tell.
    pub fn is_right(&self, answer: &str) -> Option<bool> {
        match self.kind {
            AnswerKind::Math | AnswerKind::Choice if self.answer.trim().is_empty() => None,
            AnswerKind::Math | AnswerKind::Choice => Some(equivalent(&self.answer, answer)),
            AnswerKind::Countdown => Some(Puzzle::read(&self.question)?.solves(answer)),
            AnswerKind::Route => Some(Route::read(&self.question)?.solves(answer)),
            AnswerKind::Code => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_math(kind: &AnswerKind) -> bool {
    *kind == AnswerKind::Math
}

/// A solution worked out: first the plan, then its execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worked {
    /// The plan's steps, without tags: `Plan 1: ...`, `Plan 2: ...`.
    pub plan: Vec<String>,
    /// The execution, ending in `\boxed{answer}`.
    pub solution: String,
}

/// Tests of a Python function, as HumanEval has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTests {
    /// The function that is tested.
    pub entry_point: String,
    /// Python that defines `check(candidate)`.
    pub check: String,
}
