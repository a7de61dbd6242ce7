//! What a policy has done so far.

use serde::{Deserialize, Serialize};

/// Counters since a policy was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStats {
    /// Requests answered.
    pub requests: u64,
    /// Tokens run through the model.
    pub tokens_forwarded: u64,
    /// Prefix tokens whose keys and values were there already.
    pub tokens_reused: u64,
    /// Tokens sampled.
    pub tokens_sampled: u64,
    /// Passes through the model; `tokens_forwarded / passes` is how well its batches were filled.
    pub passes: u64,
    /// Cached states dropped to keep a tree within its budget.
    pub evictions: u64,
    /// Bytes of keys and values held now, for all trees.
    pub cached_bytes: u64,
}
