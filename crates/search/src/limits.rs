//! What one tree has used and found so far, of which its budgets are counted.

use crate::error::SearchError;
use crate::summary::{SearchWork, Stop};
use std::time::Instant;

/// What one tree has used and found so far.
pub(crate) struct Limits {
    /// Why nothing more is to be asked.
    pub(crate) stop: Option<Stop>,
    pub(crate) work: SearchWork,
    pub(crate) began: Instant,
    pub(crate) correct_solutions: u32,
    /// The root's Q at the last look for convergence, and whether it had settled by then.
    pub(crate) last_look: Option<f64>,
    pub(crate) has_settled: bool,
    /// Bytes of text and tokens in the tree.
    text_bytes: u64,
    pub(crate) tokens: u64,
}

impl Limits {
    /// The limits of a tree that begins now.
    pub(crate) fn new() -> Limits {
        Limits {
            stop: None,
            work: SearchWork::default(),
            began: Instant::now(),
            correct_solutions: 0,
            last_look: None,
            has_settled: false,
            text_bytes: 0,
            tokens: 0,
        }
    }

    /// Counts text and tokens that are added to the tree, whose pools are addressed by 32 bits.
    #[inline]
    pub(crate) fn grow(&mut self, text_bytes: u64, tokens: u64) -> Result<(), SearchError> {
        let (text_bytes, tokens) = (self.text_bytes + text_bytes, self.tokens + tokens);
        if text_bytes.max(tokens) > u64::from(u32::MAX) {
            return Err(SearchError::TooLarge);
        }
        (self.text_bytes, self.tokens) = (text_bytes, tokens);
        Ok(())
    }
}
