//! A policy and a judge without a model: for tests, benches and dry runs of everything that searches.
//!
//! [`FakePolicy`] queues requests as a real policy does, and can answer late and out of order; what it answers comes from
//! a [`FakeSource`]: [`FakeTexts`] invents texts, [`FakeTable`] looks them up. Tokens are the UTF-8 bytes of the text.

mod judge;
mod table;
mod texts;

pub use judge::FakeJudge;
pub use table::{FakeState, FakeTable};
pub use texts::FakeTexts;

use crate::about::{About, PolicyStats};
use crate::policy::{Policy, PolicyError};
use crate::request::{Expansion, Finish, StepRequest};
use crate::seed::mix;

/// What a fake policy answers. An answer depends on the request alone.
pub trait FakeSource {
    /// The answer, under the request's ticket.
    fn answer(&self, request: &StepRequest<'_>) -> Expansion;

    /// Whether its states have values.
    fn has_values(&self) -> bool {
        true
    }
}

/// A deterministic policy without a model.
///
/// ```
/// use espalier_search::fake::{FakePolicy, FakeTexts};
/// use espalier_search::Policy;
///
/// let policy = FakePolicy::new(FakeTexts::new(1)).shuffled(7, 3).refusing("unreadable");
/// assert_eq!(policy.tokenize("<plan>").unwrap(), [60, 112, 108, 97, 110, 62]);
/// assert!(policy.tokenize("something unreadable").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct FakePolicy<S = FakeTexts> {
    source: S,
    pending: Vec<Pending>,
    polls: u64,
    order_seed: Option<u64>,
    max_delay_polls: u64,
    max_batch: usize,
    refused: Option<String>,
    lost: Option<String>,
    asked: FakeAsked,
}

#[derive(Clone, Debug)]
struct Pending {
    due_poll: u64,
    request: StepRequest<'static>,
}

/// What was asked of a fake policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeAsked {
    /// Requests submitted.
    pub requests: u64,
    /// Most requests pending at a time.
    pub max_pending: usize,
    /// Trees forgotten, in order.
    pub forgotten: Vec<u64>,
}

impl<S: FakeSource> FakePolicy<S> {
    /// Answers all pending requests at each poll, in the order in which they came.
    pub fn new(source: S) -> FakePolicy<S> {
        FakePolicy {
            source,
            pending: Vec::new(),
            polls: 0,
            order_seed: None,
            max_delay_polls: 0,
            max_batch: usize::MAX,
            refused: None,
            lost: None,
            asked: FakeAsked::default(),
        }
    }

    /// Answers in a random order, each request up to `max_delay_polls` polls late.
    #[must_use]
    pub fn shuffled(mut self, order_seed: u64, max_delay_polls: u64) -> FakePolicy<S> {
        self.order_seed = Some(order_seed);
        self.max_delay_polls = max_delay_polls;
        self
    }

    /// Gives at most so many answers at one poll, and at least one.
    #[must_use]
    pub fn batched(mut self, max_batch: usize) -> FakePolicy<S> {
        self.max_batch = max_batch.max(1);
        self
    }

    /// Fails to tokenize prompts that contain `text`.
    #[must_use]
    pub fn refusing(mut self, text: &str) -> FakePolicy<S> {
        self.refused = Some(text.to_owned());
        self
    }

    /// Gives up requests whose prefix contains `text`, with an error that names their tree.
    #[must_use]
    pub fn losing(mut self, text: &str) -> FakePolicy<S> {
        self.lost = Some(text.to_owned());
        self
    }

    /// What was asked so far.
    pub fn asked(&self) -> &FakeAsked {
        &self.asked
    }
}

impl<S: FakeSource> Policy for FakePolicy<S> {
    fn about(&self) -> About {
        let has_value_head = self.source.has_values();
        About { policy_hash: "fake".to_owned(), max_context_tokens: None, has_value_head }
    }

    fn stats(&self) -> PolicyStats {
        PolicyStats { requests: self.asked.requests - self.pending.len() as u64, ..PolicyStats::default() }
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        match &self.refused {
            Some(text) if prompt.contains(text.as_str()) => {
                Err(PolicyError::new(format!("the fake policy refuses prompts with {text:?}")))
            }
            _ => Ok(encode(prompt)),
        }
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        let delay = match self.order_seed {
            Some(seed) => mix(seed ^ self.asked.requests) % (self.max_delay_polls + 1),
            None => 0,
        };
        self.asked.requests += 1;
        self.pending.push(Pending { due_poll: self.polls + delay, request: request.into_owned() });
        self.asked.max_pending = self.asked.max_pending.max(self.pending.len());
        Ok(())
    }

    fn pending(&self) -> usize {
        self.pending.len()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        let Some(first_due) = self.pending.iter().map(|pending| pending.due_poll).min() else {
            return Ok(Vec::new());
        };
        // Waiting: polls that would have no answer are passed over.
        self.polls = self.polls.max(first_due) + 1;
        if let Some(text) = &self.lost
            && let Some(at) =
                self.pending.iter().position(|one| decode(&one.request.prefix_ids).contains(text.as_str()))
        {
            let tree = self.pending.remove(at).request.tree;
            return Err(PolicyError::of_tree(tree, format!("the fake policy loses prefixes with {text:?}")));
        }
        let now = self.polls;
        let (mut due, late): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(|pending| pending.due_poll < now);
        if let Some(seed) = self.order_seed {
            due.sort_by_key(|pending| mix(seed ^ mix(now) ^ mix(pending.request.ticket)));
        }
        self.pending = due.split_off(self.max_batch.min(due.len()));
        self.pending.extend(late);
        Ok(due.iter().map(|pending| answer(&self.source, &pending.request)).collect())
    }

    fn forget(&mut self, tree: u64) {
        self.asked.forgotten.push(tree);
    }
}

/// The source's answer, its candidates cut where the request's stop strings end them.
fn answer(source: &impl FakeSource, request: &StepRequest<'_>) -> Expansion {
    let mut answer = source.answer(request);
    for candidate in &mut answer.candidates {
        let ends = request.stop_strings().iter().filter(|stop| !stop.is_empty());
        let ends = ends.filter_map(|stop| Some(candidate.text.find(stop.as_str())? + stop.len()));
        if let Some(end) = ends.min() {
            // A token is a byte.
            candidate.text.truncate(end);
            candidate.token_ids.truncate(end);
            candidate.logprobs.truncate(end);
            candidate.finish = Finish::Stop;
        }
    }
    answer
}

/// The bytes of a text, as tokens.
fn encode(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

/// The text of tokens; what is no byte, or no UTF-8, is replaced.
fn decode(ids: &[u32]) -> String {
    let bytes: Vec<u8> = ids.iter().map(|&id| u8::try_from(id).unwrap_or(b'?')).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Stops, Unit};
    use std::borrow::Cow;

    fn request(ticket: u64) -> StepRequest<'static> {
        let prefix_ids = encode("<question>1 + 1?</question><plan>");
        StepRequest {
            ticket,
            tree: ticket,
            step_ends: vec![prefix_ids.len() as u32].into(),
            prefix_ids: prefix_ids.into(),
            k: 2,
            max_tokens: 200,
            unit: Unit::Step,
            stops: Cow::Owned(Stops::default()),
            temperature: 0.7,
            seed: ticket,
            want_value: true,
        }
    }

    fn drain(policy: &mut FakePolicy) -> (Vec<Expansion>, usize) {
        let (mut answers, mut polls) = (Vec::new(), 0);
        loop {
            let more = policy.poll().expect("the fake policy answers");
            if more.is_empty() {
                return (answers, polls);
            }
            polls += 1;
            answers.extend(more);
        }
    }

    #[test]
    fn order_and_delay_change_no_answer() {
        let mut in_order = FakePolicy::new(FakeTexts::new(3));
        let mut mixed = FakePolicy::new(FakeTexts::new(3)).shuffled(5, 4).batched(3);
        for ticket in 0..20 {
            in_order.submit(request(ticket)).expect("taken");
            mixed.submit(request(ticket)).expect("taken");
        }
        let (expected, polls) = drain(&mut in_order);
        assert_eq!(polls, 1);
        let (mut answers, polls) = drain(&mut mixed);
        assert!(polls >= 7, "20 answers, 3 at a time");
        assert_ne!(answers, expected, "the order is another");
        answers.sort_by_key(|answer| answer.ticket);
        assert_eq!(answers, expected);
    }
}
