//! What a request may want of a policy beyond candidates and a value: what servers are asked for.

use crate::policy::PolicyError;
use crate::sampling::SamplingConfig;

/// What one request wants beyond a [`StepRequest`](crate::StepRequest). Nothing by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// Limits on the sampled distribution in the place of those that the policy was opened with. Precision and numerics
    /// stay the policy's own.
    pub sampling: Option<SamplingConfig>,
    /// Whether tokens are told while they are drawn ([`Policy::reports`](crate::Policy::reports)), by a policy that can.
    pub watched: bool,
    /// So many of the likeliest tokens are told with each token.
    pub alternatives: usize,
    /// The prefix's own tokens are told from this place on, at least 1: the first token of all follows nothing.
    pub prefix: Option<usize>,
}

/// A wish that a policy may not be able to fulfil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// [`Wishes::sampling`].
    Sampling,
    /// [`Wishes::alternatives`].
    Alternatives,
    /// [`Wishes::prefix`].
    Prefix,
}

impl Wishes {
    /// The wishes that only some policies can fulfil.
    pub fn list(&self) -> impl Iterator<Item = Wish> {
        let wanted = [
            (self.sampling.is_some(), Wish::Sampling),
            (self.alternatives > 0, Wish::Alternatives),
            (self.prefix.is_some(), Wish::Prefix),
        ];
        wanted.into_iter().filter_map(|(is_wanted, wish)| is_wanted.then_some(wish))
    }

    /// Refuses, in a tree's name, what a policy cannot fulfil.
    ///
    /// # Errors
    /// The first such wish.
    pub fn check(&self, tree: u64, can: impl Fn(Wish) -> bool) -> Result<(), PolicyError> {
        match self.list().find(|&wish| !can(wish)) {
            Some(wish) => Err(PolicyError::of_tree(tree, format!("the policy cannot fulfil the wish {wish:?}"))),
            None => Ok(()),
        }
    }

    /// Whether anything is to be told while the request is answered.
    pub fn is_watched(&self) -> bool {
        self.watched || self.alternatives > 0 || self.prefix.is_some()
    }
}

/// What is told of a pending request: some more tokens of one candidate, or of the prefix.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The request's ticket.
    pub ticket: u64,
    /// The place of the candidate; `None` for the prefix, which is told at once.
    pub candidate: Option<usize>,
    /// The place of the first of these tokens in the candidate, or in the prefix. A request that was begun again tells what it
    /// told before.
    pub first: usize,
    /// The tokens.
    pub tokens: Vec<Told>,
}

/// One token, as it was drawn or read.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its id.
    pub id: u32,
    /// Its natural log-probability (nats), before temperature.
    pub logprob: f32,
    /// The likeliest tokens in its place and their natural log-probabilities, falling; as many as were wished for, or all.
    pub alternatives: Vec<(u32, f32)>,
}
