//! Errors of this crate.

use crate::policy::PolicyError;
use espalier_settings::OutOfRange;
use std::error::Error;

/// Why a search could not start or go on. What concerns one problem only is counted and skipped instead
/// ([`SearchSummary::skipped`](crate::SearchSummary::skipped)), unless the tree is searched alone.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A setting out of its range; boxed, since each turn of the engine hands on a result with room for the largest error.
    #[error(transparent)]
    Setting(Box<OutOfRange>),
    /// The policy failed altogether.
    #[error("the policy failed")]
    Policy(#[from] PolicyError),
    /// The policy says that nothing is pending although requests are.
    #[error("the policy gave no answer although {pending} requests are pending")]
    NoAnswer {
        /// Requests without an answer.
        pending: usize,
    },
    /// An answer to no pending request.
    #[error("the policy answered request {ticket}, which is not pending")]
    UnknownTicket {
        /// The answer's ticket.
        ticket: u64,
    },
    /// Values are to come from the value head, and the policy has none.
    #[error("the policy gave no value of a state; give it a value head, or choose evaluation `zero` or `rollouts:N`")]
    NoValue,
    /// An answer with a value out of range.
    #[error("the policy gave the value {value} of a state; values lie in [-1, 1]")]
    Value {
        /// The value.
        value: f32,
    },
    /// An answer with more candidates than asked for.
    #[error("the policy gave {got} candidates where at most {wanted} were asked for")]
    TooManyCandidates {
        /// Candidates in the answer.
        got: usize,
        /// Candidates asked for.
        wanted: usize,
    },
    /// A candidate whose tokens and log-probabilities differ in number.
    #[error("the policy gave a candidate with {tokens} tokens and {logprobs} log-probabilities; they must be as many")]
    Lengths {
        /// Tokens of the candidate.
        tokens: usize,
        /// Log-probabilities of the candidate.
        logprobs: usize,
    },
    /// A candidate whose log-probabilities give no probability.
    #[error("the policy gave a candidate with mean log-probability {mean}; log-probabilities are at most 0")]
    Logprob {
        /// Mean over the candidate's tokens, nats.
        mean: f64,
    },
    /// Texts or tokens of one tree beyond what its 32-bit offsets reach.
    #[error("the tree has outgrown 4 GiB of text or tokens; lower `simulations`, `k` or `max_step_tokens`")]
    TooLarge,
    /// The caller could not take a finished tree or a skipped problem.
    #[error("cannot store a finished tree or a skipped problem")]
    Sink(#[source] Box<dyn Error + Send + Sync>),
}

impl From<OutOfRange> for SearchError {
    fn from(bad: OutOfRange) -> SearchError {
        SearchError::Setting(Box::new(bad))
    }
}

impl SearchError {
    /// The error and what caused it, in one line.
    pub fn reason(&self) -> String {
        let causes = std::iter::successors(self.source(), |&cause| cause.source());
        causes.fold(self.to_string(), |line, cause| format!("{line}: {cause}"))
    }
}
