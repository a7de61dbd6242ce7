//! What a search tells its caller while it runs.

use crate::summary::{SearchSummary, Skipped};
use espalier_tree::Tree;

/// Something that happened in a search.
#[derive(Debug)]
pub enum SearchEvent<'a> {
    /// A tree is finished.
    Finished {
        /// Index of the job.
        index: u64,
        /// The tree.
        tree: Tree,
    },
    /// A problem has no tree, and none will come.
    Skipped(&'a Skipped),
    /// Answers were taken in; the totals so far.
    Advanced(&'a SearchSummary),
}
