//! What a search asks of a policy, and what it gets.

use std::borrow::Cow;
use std::sync::Arc;

/// How far a candidate runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// To the end of one step.
    Step,
    /// To the end of the path, over as many steps as it takes: rollouts and greedy evaluation.
    Path,
}

/// The strings that end candidates, shared by all requests of a search: a clone copies no text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    /// What ends a step ([`Unit::Step`]), and with it what ends a path.
    pub step: Arc<[String]>,
    /// What ends a path ([`Unit::Path`]).
    pub path: Arc<[String]>,
}

/// Asks for K candidates that follow one state and, if wanted, for the state's value from the same forward pass.
///
/// The tokens are lent: a policy copies what it needs for longer, if need be all ([`StepRequest::into_owned`]).
#[derive(Clone, Debug, PartialEq)]
pub struct StepRequest<'a> {
    /// Name of the request; the answer carries it back. Unique within one search.
    pub ticket: u64,
    /// The tree that asks. What was computed for a prefix can be kept until [`Policy::forget`](crate::Policy::forget) of this tree.
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
    /// What ends a step and a path; the request's `unit` says which of them end its candidates
    /// ([`stop_strings`](StepRequest::stop_strings)). The others say which steps nothing will follow.
    pub stops: Cow<'a, Stops>,
    /// Sampling temperature; 0 takes the likeliest token.
    pub temperature: f32,
    /// Seed of the sampling. It depends on the tree's own seed and the node only, so the answer may depend on this
    /// request and on nothing else.
    pub seed: u64,
    /// Whether the value head's estimate of the state is wanted.
    pub want_value: bool,
}

/// Tokens at the end of a prefix in which the stop string is looked for that ended its last step.
const STOP_TOKENS: usize = 32;

/// Where the last of these strings in `text` ends.
pub fn last_stop(text: &str, stops: &[impl AsRef<str>]) -> Option<usize> {
    let stops = stops.iter().map(AsRef::as_ref);
    if stops.clone().any(|stop| text.ends_with(stop)) {
        return Some(text.len());
    }
    stops.filter_map(|stop| Some(text.rfind(stop)? + stop.len())).max()
}

impl StepRequest<'_> {
    /// The end of the prefix's text that belongs to its next step: what the last token of the last step has beyond the stop
    /// string that ended that step. Nothing at a prompt.
    pub fn overhang(&self, decode: impl Fn(&[u32]) -> String) -> String {
        let [first, .., last] = *self.step_ends else { return String::new() };
        let (first, last) = (first as usize, last as usize);
        let Some(tail) = self.prefix_ids.get(first.max(last.saturating_sub(STOP_TOKENS))..last) else {
            return String::new();
        };
        let Some((_, before)) = tail.split_last() else { return String::new() };
        let mut text = decode(tail);
        match last_stop(&text, &self.stops.step) {
            Some(end) if end < text.len() && end > decode(before).len() => text.split_off(end),
            _ => String::new(),
        }
    }

    /// The strings that end its candidates.
    pub fn stop_strings(&self) -> &[String] {
        match self.unit {
            Unit::Step => &self.stops.step,
            Unit::Path => &self.stops.path,
        }
    }

    /// The request with tokens of its own.
    pub fn into_owned(self) -> StepRequest<'static> {
        StepRequest {
            prefix_ids: Cow::Owned(self.prefix_ids.into_owned()),
            step_ends: Cow::Owned(self.step_ends.into_owned()),
            stops: Cow::Owned(self.stops.into_owned()),
            ..self
        }
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
    /// The text of all its tokens. The stop string that ended it ends in the last one, which may go on behind it.
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
