//! Who proposes steps: the trait that answers a search's requests.

use crate::about::{About, PolicyStats};
use crate::request::{Expansion, StepRequest};
use crate::wishes::{Report, Wish, Wishes};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How long a policy may be waited for while something else, a judgement or a value, may come.
pub(crate) const LOOK: Duration = Duration::from_millis(2);

/// Proposes steps, many requests at a time.
///
/// The answer to a request may depend on the request alone: not on the order of requests, nor on what else is in the
/// batch. Then a tree is the same whatever is searched beside it. The module `testing` (with the feature of that name) holds the tests that every
/// policy has to pass.
pub trait Policy {
    /// What the policy is.
    fn about(&self) -> About;

    /// What the policy has done since it was opened; a policy that counts nothing says so.
    fn stats(&self) -> PolicyStats {
        PolicyStats::default()
    }

    /// The tokens of a prompt.
    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError>;

    /// Takes a request in. Never blocks. A request that is refused is not pending.
    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError>;

    /// Requests that were taken in, and whose answer or error [`poll`](Policy::poll) has not given yet.
    fn pending(&self) -> usize;

    /// Blocks until at least one submitted request is answered; returns all answers there are, in any order. Empty only
    /// if nothing is pending. An error that names a tree stands for one of that tree's requests; all others go on.
    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError>;

    /// [`poll`](Policy::poll), which may give up after this time with no answer: for who has other things to do meanwhile. A
    /// policy that computes does a pass at least. One that does not wait need not heed it.
    fn poll_for(&mut self, _at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        self.poll()
    }

    /// Drops all that is kept for a tree; no request of it is pending, and none will come.
    fn forget(&mut self, tree: u64);

    /// Gets back an answer that was read, whose memory may be used again. Drops it by default.
    fn reclaim(&mut self, _answer: Expansion) {}

    /// Whether the policy can fulfil a wish. None by default.
    fn can(&self, _wish: Wish) -> bool {
        false
    }

    /// As [`submit`](Policy::submit), of a request with wishes. What the policy cannot fulfil is refused in the request's name.
    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        wishes.check(request.tree, |_| false)?;
        self.submit(request)
    }

    /// What was drawn and read since the last call for requests that wish to be told. It comes no later than the answer: who asks
    /// after each [`poll_for`](Policy::poll_for) misses nothing. Nothing by default.
    fn reports(&mut self) -> Vec<Report> {
        Vec::new()
    }

    /// Nobody waits for this request any more: it may be answered at once by what there is. Does nothing by default.
    fn cut_short(&mut self, _ticket: u64) {}
}

/// A policy behind a pointer is that policy.
macro_rules! behind {
    ($pointer:ty) => {
        impl<P: Policy + ?Sized> Policy for $pointer {
            fn about(&self) -> About {
                (**self).about()
            }

            fn stats(&self) -> PolicyStats {
                (**self).stats()
            }

            fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
                (**self).tokenize(prompt)
            }

            fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
                (**self).submit(request)
            }

            fn pending(&self) -> usize {
                (**self).pending()
            }

            fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
                (**self).poll()
            }

            fn poll_for(&mut self, at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
                (**self).poll_for(at_most)
            }

            fn forget(&mut self, tree: u64) {
                (**self).forget(tree);
            }

            fn reclaim(&mut self, answer: Expansion) {
                (**self).reclaim(answer);
            }

            fn can(&self, wish: Wish) -> bool {
                (**self).can(wish)
            }

            fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
                (**self).submit_with(request, wishes)
            }

            fn reports(&mut self) -> Vec<Report> {
                (**self).reports()
            }

            fn cut_short(&mut self, ticket: u64) {
                (**self).cut_short(ticket);
            }
        }
    };
}

behind!(Box<P>);
behind!(&mut P);

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
    pub fn reason(&self) -> String {
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
