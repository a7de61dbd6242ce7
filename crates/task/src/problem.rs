//! What a problem is.

use serde::{Deserialize, Serialize};

/// A question with its reference answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique in its set; runs, trees, and pairs are traced by it.
    pub id: String,
    /// The question, as the model reads it.
    pub question: String,
    /// The reference answer, without the working that led to it.
    pub answer: String,
    /// The generated family it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The number of steps that its solution takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u32>,
    /// A worked solution, to learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution: Option<Worked>,
}

/// A solution worked out: first the plan, then its execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worked {
    /// The plan's steps, without tags: `Plan 1: ...`, `Plan 2: ...`.
    pub plan: Vec<String>,
    /// The execution, ending in `\boxed{answer}`.
    pub solution: String,
}
