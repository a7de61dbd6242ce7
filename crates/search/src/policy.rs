//! Who proposes steps: the requests that a search makes and the trait that answers them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// How far a candidate runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// To the end of one step.
    Step,
    /// To the end of the path, over as many steps as it takes: rollouts and greedy evaluation.
    Path,
}

/// Asks for K candidates that follow one state and, if wanted, for the state's value from the same forward pass.
///
/// The tokens are lent: a policy copies what it needs for longer, if need be all ([`StepRequest::into_owned`]).
#[derive(Clone, Debug, PartialEq)]
pub struct StepRequest<'a> {
    /// Name of the request; the answer carries it back. Unique within one search.
    pub ticket: u64,
    /// The tree that asks. What was computed for a prefix can be kept until [`Policy::forget`] of this tree.
    pub tree: u64,
    /// All tokens of the state: the prompt's, then those of each step of the path, as they were sampled.
    pub prefix_ids: Cow<'a, [u32]>,
    /// Offsets into `prefix_ids` where the prompt and then each step of the path end; they never fall, and the last is
    /// `prefix_ids.len()`.
    pub step_ends: Cow<'a, [u32]>,
    /// Candidates wanted; 0 where only the value is.
    pub k: usize,
    /// Tokens that one candidate may have at most.
    pub max_tokens: usize,
    /// How far each candidate runs.
    pub unit: Unit,
    /// Sampling temperature; 0 takes the likeliest token.
    pub temperature: f32,
    /// Seed of the sampling. It depends on the tree's own seed and the node only, so the answer may depend on this
    /// request and on nothing else.
    pub seed: u64,
    /// Whether the value head's estimate of the state is wanted.
    pub want_value: bool,
}

impl StepRequest<'_> {
    /// The request with tokens of its own.
    pub fn into_owned(self) -> StepRequest<'static> {
        let StepRequest { ticket, tree, prefix_ids, step_ends, k, max_tokens, unit, temperature, seed, want_value } =
            self;
        let (prefix_ids, step_ends) = (prefix_ids.into_owned().into(), step_ends.into_owned().into());
        StepRequest { ticket, tree, prefix_ids, step_ends, k, max_tokens, unit, temperature, seed, want_value }
    }
}

/// Why a candidate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    /// At a stop string or the end-of-text token.
    Stop,
    /// At `max_tokens` or at the end of the model's context.
    Length,
}

/// One sampled continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The text as sampled, up to and including the stop string.
    pub text: String,
    /// The tokens as sampled.
    pub token_ids: Vec<u32>,
    /// Natural log-probability (nats) of each token, before temperature; as long as `token_ids`.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}

/// The answer to a [`StepRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// The request's ticket.
    pub ticket: u64,
    /// The value head's estimate of the state, in [-1, 1], where it was wanted and there is a value head.
    pub value: Option<f32>,
    /// At most `k` candidates, in the order of sampling. A prefix that leaves no room in the model's context is answered
    /// by none, or by [`Finish::Length`] candidates without tokens.
    pub candidates: Vec<Candidate>,
}

/// Proposes steps, many requests at a time.
///
/// The answer to a request may depend on the request alone: not on the order of requests, nor on what else is in the
/// batch. Then a tree is the same whatever is searched beside it.
pub trait Policy {
    /// The tokens of a prompt.
    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError>;

    /// Takes a request in. Never blocks.
    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError>;

    /// Blocks until at least one submitted request is answered; returns all answers there are, in any order. Empty only
    /// if nothing is pending.
    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError>;

    /// Drops all that is kept for a tree; no request of it is pending, and none will come.
    fn forget(&mut self, tree: u64);

    /// Gets back an answer that was read, whose memory may be used again. Drops it by default.
    fn reclaim(&mut self, _answer: Expansion) {}
}

/// What went wrong inside a policy.
///
/// An error from [`Policy::submit`] or [`Policy::poll`] ends the search, unless it names a tree
/// ([`PolicyError::of_tree`]): then only that tree is given up, and one of its pending requests counts as answered.
#[derive(Debug)]
pub struct PolicyError(pub Box<dyn Error + Send + Sync>);

impl PolicyError {
    /// An error from anything that is one, or from a message.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> PolicyError {
        PolicyError(source.into())
    }

    /// An error that concerns the request of one tree and no other.
    pub fn of_tree(tree: u64, source: impl Into<Box<dyn Error + Send + Sync>>) -> PolicyError {
        PolicyError(Box::new(TreeFailed { tree, source: source.into() }))
    }

    /// The tree, if the error concerns only one.
    pub fn tree(&self) -> Option<u64> {
        self.0.downcast_ref::<TreeFailed>().map(|failed| failed.tree)
    }

    /// The error and what caused it, in one line.
    pub(crate) fn reason(&self) -> String {
        let causes = std::iter::successors(self.0.source(), |&cause| cause.source());
        causes.fold(self.0.to_string(), |line, cause| format!("{line}: {cause}"))
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for PolicyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What is in the box of [`PolicyError::of_tree`].
#[derive(Debug, thiserror::Error)]
#[error("the policy gave up a request of tree {tree}")]
struct TreeFailed {
    tree: u64,
    source: Box<dyn Error + Send + Sync>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_one_tree_names_it_and_its_cause() {
        let error = PolicyError::of_tree(7, "the server answered 400");
        assert_eq!(error.tree(), Some(7));
        assert_eq!(error.reason(), "the policy gave up a request of tree 7: the server answered 400");
        assert_eq!(PolicyError::new("out of memory").tree(), None);
    }
}
