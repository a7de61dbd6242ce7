//! What every policy promises, as tests: for the crates that have policies.
//!
//! [`policy_suite!`](crate::policy_suite) makes a test of each function here, over one [`Subject`].

#![expect(clippy::missing_panics_doc, reason = "tests panic where a claim is wrong")]

use crate::policy::{Policy, PolicyError};
use crate::request::{Candidate, Expansion, Finish, StepRequest, Stops, Unit};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A policy to be tested.
pub struct Subject {
    /// Opens the policy anew.
    pub open: Box<dyn Fn() -> Box<dyn Policy>>,
    /// At least three prompts that the policy can answer.
    pub prompts: Vec<String>,
    /// A prompt whose requests the policy gives up.
    pub failing_prompt: String,
    /// Strings that end some of the candidates.
    pub stops: Stops,
    /// The text of tokens.
    pub decode: fn(&[u32]) -> String,
}

/// Makes a test of each claim; the argument is an expression for the [`Subject`].
#[macro_export]
macro_rules! policy_suite {
    ($subject:expr) => {
        $crate::policy_suite! { $subject;
            answers_depend_on_the_request_alone,
            the_same_seed_gives_the_same_answer,
            what_is_not_answered_is_pending,
            an_error_names_its_tree_and_the_others_go_on,
            candidates_come_in_order_and_keep_the_limit,
            stop_strings_end_candidates_and_are_part_of_the_text,
            values_come_from_a_value_head
        }
    };
    ($subject:expr; $($claim:ident),+) => {
        $(
            #[test]
            fn $claim() {
                $crate::testing::$claim(&$subject);
            }
        )+
    };
}

impl Subject {
    fn request(&self, policy: &dyn Policy, tree: u64, prompt: &str) -> StepRequest<'static> {
        let prefix_ids = policy.tokenize(prompt).expect("the prompt fits");
        StepRequest {
            ticket: tree,
            tree,
            step_ends: vec![prefix_ids.len() as u32].into(),
            prefix_ids: prefix_ids.into(),
            k: 3,
            max_tokens: 40,
            unit: if tree.is_multiple_of(2) { Unit::Step } else { Unit::Path },
            stops: Cow::Owned(self.stops.clone()),
            temperature: if tree % 3 == 2 { 0.0 } else { 1.0 },
            seed: 1000 + tree,
            want_value: true,
        }
    }

    /// One request for each prompt.
    fn requests(&self, policy: &dyn Policy) -> Vec<StepRequest<'static>> {
        (0..).zip(&self.prompts).map(|(tree, prompt)| self.request(policy, tree, prompt)).collect()
    }
}

type Answers = BTreeMap<u64, Result<Expansion, PolicyError>>;

/// Submits all and polls until nothing is pending; the answers and errors by tree.
fn answers(policy: &mut dyn Policy, requests: Vec<StepRequest<'static>>) -> Answers {
    let count = requests.len();
    let mut answers = Answers::new();
    for request in requests {
        let tree = request.tree;
        if let Err(error) = policy.submit(request) {
            assert_eq!(error.tree(), Some(tree), "{error}");
            answers.insert(tree, Err(error));
        }
    }
    while policy.pending() > 0 {
        match policy.poll() {
            Ok(some) => {
                assert!(!some.is_empty(), "the poll came back without an answer, and {} are pending", policy.pending());
                for answer in some {
                    assert!(answers.insert(answer.ticket, Ok(answer)).is_none(), "answered twice");
                }
            }
            Err(error) => {
                let tree = error.tree().expect("the error names its tree");
                assert!(answers.insert(tree, Err(error)).is_none(), "answered twice");
            }
        }
    }
    assert!(policy.poll().expect("nothing is pending").is_empty(), "an answer although nothing is pending");
    assert_eq!(answers.len(), count);
    answers
}

/// The answers of a policy that gives up nothing.
fn expansions(policy: &mut dyn Policy, requests: Vec<StepRequest<'static>>) -> Vec<Expansion> {
    answers(policy, requests).into_values().map(|answer| answer.expect("an answer")).collect()
}

/// A request is answered alone as in company, in whatever order the requests come, to the last bit.
pub fn answers_depend_on_the_request_alone(subject: &Subject) {
    let mut policy = (subject.open)();
    let requests = subject.requests(&*policy);
    let together = expansions(&mut *policy, requests.clone());
    let reversed: Vec<_> = requests.iter().rev().cloned().collect();
    assert_eq!(expansions(&mut *(subject.open)(), reversed), together, "in another order");
    for (request, together) in requests.into_iter().zip(&together) {
        let tree = request.tree;
        let alone = expansions(&mut *(subject.open)(), vec![request]).remove(0);
        assert_eq!(alone, *together, "request {tree} alone");
    }
}

/// Equal seeds draw equal texts, whatever was asked before; other seeds draw others.
pub fn the_same_seed_gives_the_same_answer(subject: &Subject) {
    let mut policy = (subject.open)();
    let ask = |policy: &mut dyn Policy, seed: u64| {
        let mut requests = subject.requests(policy);
        requests.iter_mut().for_each(|request| (request.seed, request.temperature) = (seed, 1.0));
        let answers = expansions(policy, requests.clone());
        requests.iter().for_each(|request| policy.forget(request.tree));
        answers
    };
    let first = ask(&mut *policy, 5);
    assert_ne!(ask(&mut *policy, 6), first);
    assert_eq!(ask(&mut *policy, 5), first);
    assert_eq!(ask(&mut *(subject.open)(), 5), first);
}

/// Each request taken in is pending until a poll gives its answer, and then no longer.
pub fn what_is_not_answered_is_pending(subject: &Subject) {
    let mut policy = (subject.open)();
    assert_eq!(policy.pending(), 0);
    assert!(policy.poll().expect("nothing is pending").is_empty());
    let requests = subject.requests(&*policy);
    let count = requests.len();
    for (submitted, request) in (1..).zip(requests) {
        policy.submit(request).expect("the request makes sense");
        assert_eq!(policy.pending(), submitted);
    }
    let mut answered = 0;
    while answered < count {
        let some = policy.poll().expect("an answer").len();
        assert!(some > 0, "the poll came back without an answer");
        answered += some;
        assert_eq!(policy.pending(), count - answered);
    }
    assert!(policy.poll().expect("nothing is pending").is_empty());
    assert!(policy.stats().requests == 0 || policy.stats().requests == count as u64);
}

/// A request that is given up costs none of those beside it.
pub fn an_error_names_its_tree_and_the_others_go_on(subject: &Subject) {
    let mut policy = (subject.open)();
    let requests = subject.requests(&*policy);
    let undisturbed = expansions(&mut *(subject.open)(), requests.clone());
    let mut disturbed = requests;
    disturbed.insert(1, subject.request(&*policy, 1001, &subject.failing_prompt));
    let mut answers = answers(&mut *policy, disturbed);
    let error = answers.remove(&1001).expect("one of the two").expect_err("the policy gives such prompts up");
    assert_eq!(error.tree(), Some(1001));
    let others: Vec<Expansion> = answers.into_values().map(|answer| answer.expect("the others go on")).collect();
    assert_eq!(others, undisturbed);
}

/// K candidates, of which the first are those of a smaller K; each with a log-probability a token and no token too many.
pub fn candidates_come_in_order_and_keep_the_limit(subject: &Subject) {
    let mut policy = (subject.open)();
    let ask = |policy: &mut dyn Policy, k: usize, max_tokens: usize| {
        let requests = subject.requests(policy);
        let requests: Vec<_> =
            requests.into_iter().map(|request| StepRequest { k, max_tokens, temperature: 1.0, ..request }).collect();
        let answers = expansions(policy, requests.clone());
        requests.iter().for_each(|request| policy.forget(request.tree));
        answers
    };
    let four = ask(&mut *policy, 4, 40);
    for (one, four) in ask(&mut *policy, 1, 40).iter().zip(&four) {
        assert_eq!(four.candidates.len(), 4);
        // With K, the last bits of the log-probabilities may change.
        let drawn = |candidate: &Candidate| (candidate.text.clone(), candidate.token_ids.clone(), candidate.finish);
        assert_eq!(drawn(&one.candidates[0]), drawn(&four.candidates[0]));
        let apart = one.candidates[0].logprobs.iter().zip(&four.candidates[0].logprobs).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-4);
    }
    assert!(ask(&mut *policy, 0, 40).iter().all(|answer| answer.candidates.is_empty()));
    for max_tokens in [1, 7, 40] {
        for candidate in ask(&mut *policy, 4, max_tokens).iter().flat_map(|answer| &answer.candidates) {
            let Candidate { token_ids, logprobs, .. } = candidate;
            assert!(token_ids.len() <= max_tokens, "{} tokens of {max_tokens}", token_ids.len());
            assert_eq!(token_ids.len(), logprobs.len());
            assert!(logprobs.iter().all(|logprob| logprob.is_finite() && *logprob <= 0.0), "{logprobs:?}");
        }
    }
}

/// A stop string ends a text, in whose last token it is complete, and a text with one says [`Finish::Stop`].
pub fn stop_strings_end_candidates_and_are_part_of_the_text(subject: &Subject) {
    let mut policy = (subject.open)();
    let (mut stopped, mut tree) = (0, 0);
    for unit in [Unit::Step, Unit::Path] {
        for prompt in &subject.prompts {
            let request = StepRequest { unit, k: 6, max_tokens: 200, ..subject.request(&*policy, tree, prompt) };
            tree += 1;
            let stops = request.stop_strings().to_vec();
            for candidate in expansions(&mut *policy, vec![request]).remove(0).candidates {
                let text = candidate.text;
                let before = (subject.decode)(candidate.token_ids.split_last().map_or(&[], |(_, before)| before));
                for stop in &stops {
                    assert!(!before.contains(stop.as_str()), "{stop:?} stands in {before:?}, and {text:?} goes on");
                }
                if stops.iter().any(|stop| text.contains(stop.as_str())) {
                    assert_eq!(candidate.finish, Finish::Stop, "{text:?}");
                    stopped += 1;
                }
            }
        }
    }
    assert!(stopped > 0, "no candidate has come to a stop string; choose others for the subject");
}

/// A policy that says that it has a value head gives values in [-1, 1], where they are wanted; others give none.
pub fn values_come_from_a_value_head(subject: &Subject) {
    let mut policy = (subject.open)();
    let has_value_head = policy.about().has_value_head;
    for want_value in [true, false] {
        let requests = subject.requests(&*policy);
        let requests = requests.into_iter().map(|request| StepRequest { want_value, ..request }).collect();
        for answer in expansions(&mut *policy, requests) {
            assert_eq!(answer.value.is_some(), want_value && has_value_head);
            assert!(answer.value.is_none_or(|value| value.abs() <= 1.0), "{:?}", answer.value);
        }
    }
}
