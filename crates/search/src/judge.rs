//! Who says what a sampled text is and whether an answer is right.

use espalier_tree::{Ending, Kind, TreeInfo};

/// Reads steps. It knows the format of the texts and how answers are compared; the search knows neither.
///
/// A text to be judged begins with what the last token before it has beyond its own step's stop string, and ends with the
/// stop string: tokens need not end where steps do.
pub trait Judge: Sync {
    /// What one sampled step is, and how the path ends with it if it does.
    fn judge(&self, info: &TreeInfo, text: &str) -> Verdict;

    /// Where in a sampled text the last stop string ends; what is behind it belongs to the next step. By default that is the
    /// text's own end, and all of it is judged; nothing where there is no stop string.
    fn end(&self, text: &str) -> Option<usize> {
        Some(text.len())
    }

    /// What the rest of a path is, sampled in one go by a [`Unit::Path`](crate::Unit::Path) request: several steps and
    /// the solution. Only [`Ending::Correct`] is worth +1; all else is worth -1.
    fn judge_path(&self, info: &TreeInfo, text: &str) -> Verdict;
}

/// What a judge found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the step is. A malformed step has the kind that it was sampled as.
    pub kind: Kind,
    /// [`Ending::None`], [`Ending::Correct`], [`Ending::Wrong`] or [`Ending::Malformed`]. The other endings are the
    /// search's own.
    pub ending: Ending,
    /// The answer found in a solution.
    pub answer: Option<String>,
}
