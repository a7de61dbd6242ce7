//! What a policy says of itself.

use serde::{Deserialize, Serialize};

/// What a policy is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Names the policy in the rows that it samples: two policies with the same hash give the same answers.
    pub policy_hash: String,
    /// Longest prefix and continuation together, in tokens, where that is known.
    pub max_context_tokens: Option<usize>,
    /// Whether the policy can say what a state is worth ([`StepRequest::want_value`](crate::StepRequest::want_value)).
    pub has_value_head: bool,
}

/// What a policy has done since it was opened. What a server computes is not known: of tokens and passes such a policy
/// counts those that came back.
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
    /// Parts of prefixes dropped to keep keys and values within their memory.
    pub evictions: u64,
    /// Requests put back for want of memory, to be begun again.
    #[serde(default)]
    pub restarts: u64,
    /// Bytes of keys and values held now, for all trees.
    pub cached_bytes: u64,
    /// The most that they ever were.
    #[serde(default)]
    pub most_cached_bytes: u64,
    /// What was asked of servers, where they are the policy.
    pub servers: Option<ServerStats>,
}

impl PolicyStats {
    /// The sum of two policies' work. What they asked of servers is that of the one that has servers.
    #[must_use]
    pub fn plus(self, other: &PolicyStats) -> PolicyStats {
        PolicyStats {
            requests: self.requests + other.requests,
            tokens_forwarded: self.tokens_forwarded + other.tokens_forwarded,
            tokens_reused: self.tokens_reused + other.tokens_reused,
            tokens_sampled: self.tokens_sampled + other.tokens_sampled,
            passes: self.passes + other.passes,
            evictions: self.evictions + other.evictions,
            restarts: self.restarts + other.restarts,
            cached_bytes: self.cached_bytes + other.cached_bytes,
            most_cached_bytes: self.most_cached_bytes + other.most_cached_bytes,
            servers: self.servers.or(other.servers),
        }
    }
}

/// What a policy has asked of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStats {
    /// HTTP requests for candidates, repeated ones included.
    pub requests: u64,
    /// Of these, requests that failed and were sent again.
    pub failures: u64,
    /// Candidates that were left out because the server's texts did not tell which tokens it drew.
    pub unreadable: u64,
    /// Prompts, sent as text, that the server read as another number of tokens than they were sampled in.
    pub recounted: u64,
}
