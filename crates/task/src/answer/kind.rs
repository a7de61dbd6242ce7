//! Kinds of answers.

use serde::{Deserialize, Serialize};

/// What an answer is, as far as finding it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// A number, a formula, a word.
    #[default]
    Math,
    /// A letter of a multiple choice.
    Choice,
    /// A Python program, judged by running its tests.
    Code,
    /// A calculation that makes a target from numbers: one of several, see [`Puzzle`](crate::Puzzle).
    Countdown,
    /// A walk over a grid: one of several, see [`Route`](crate::Route).
    Route,
}

impl AnswerKind {
    /// Whether an answer is compared with the reference. Of those that several answers of a kind are right for, a program says
    /// which are.
    pub fn is_compared(self) -> bool {
        !matches!(self, AnswerKind::Countdown | AnswerKind::Route)
    }
}
