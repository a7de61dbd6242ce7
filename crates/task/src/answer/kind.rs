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
}
