//! A problem as its family tells it.

use crate::answer::AnswerKind;
use crate::problem::Worked;

/// What becomes a problem.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub question: String,
    pub answer: String,
    pub kind: AnswerKind,
    pub worked: Worked,
    /// The worked solution of one who overlooks a step and comes to another answer, where that can be told.
    pub mistaken: Option<Worked>,
}
