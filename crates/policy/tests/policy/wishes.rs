//! What requests may wish for: to be told, to have limits of their own, to be read, and to be given up.

use crate::tiny::{Step, config, model, policy, policy_with, root, tokenizer, with_stops};
use espalier_policy::{DevicesPolicy, PolicyConfig, Scoring, score};
use espalier_search::{Expansion, Policy, Report, SamplingConfig, StepRequest, Told, Wish, Wishes};
use std::collections::BTreeMap;
use std::time::Duration;

const PROMPTS: [&str; 4] =
    ["Größe über alles: 5 €", "first second third", "<plan><step>Plan 1: add 3", "A box holds 12"];

/// Requests without stop strings, of 25 tokens mostly.
fn requests() -> Vec<StepRequest<'static>> {
    let open = policy();
    let step = |seed| Step { k: 3, max_tokens: 25, temperature: 1.0, seed };
    (0..).zip(PROMPTS).map(|(tree, prompt)| with_stops(root(&open, tree, prompt, step(tree)), &[], &[])).collect()
}

/// One model, and the same on two devices.
fn subjects() -> [Box<dyn Policy>; 2] {
    let two = DevicesPolicy::new(vec![policy(), policy()]).unwrap();
    [Box::new(policy()), Box::new(two)]
}

/// All answers by ticket, all reports in their order, and how often nothing was answered.
fn advanced(
    policy: &mut dyn Policy,
    asked: Vec<(StepRequest<'static>, Wishes)>,
) -> (BTreeMap<u64, Expansion>, Vec<Report>, usize) {
    let count = asked.len();
    for (request, wishes) in asked {
        policy.submit_with(request, &wishes).unwrap();
    }
    let (mut answers, mut reports, mut passes) = (BTreeMap::new(), Vec::new(), 0);
    while answers.len() < count {
        let more = policy.poll_for(Duration::ZERO).unwrap();
        reports.extend(policy.reports());
        passes += usize::from(more.is_empty());
        answers.extend(more.into_iter().map(|answer| (answer.ticket, answer)));
    }
    assert_eq!(policy.pending(), 0);
    (answers, reports, passes)
}

fn plain(request: &StepRequest<'static>) -> (StepRequest<'static>, Wishes) {
    (request.clone(), Wishes::default())
}

fn expected() -> BTreeMap<u64, Expansion> {
    advanced(&mut policy(), requests().iter().map(plain).collect()).0
}

/// The tokens that were told of one candidate, or of the prefix.
fn told(reports: &[Report], ticket: u64, candidate: Option<usize>) -> Vec<Told> {
    let mut told = Vec::new();
    for report in reports.iter().filter(|report| (report.ticket, report.candidate) == (ticket, candidate)) {
        let first = if candidate.is_none() { report.first - 1 } else { report.first };
        assert_eq!(first, told.len(), "nothing is told twice or left out");
        told.extend(report.tokens.clone());
    }
    told
}

#[test]
fn what_is_told_is_the_answer_token_by_token() {
    let expected = expected();
    for (mut policy, is_apart) in subjects().into_iter().zip([false, true]) {
        let wishes = Wishes { watched: true, ..Wishes::default() };
        // One of them does not wish to be told.
        let wishes_of = |ticket| if ticket == 2 { Wishes::default() } else { wishes.clone() };
        let asked = requests().into_iter().map(|request| (request.clone(), wishes_of(request.ticket)));
        let (answers, reports, passes) = advanced(&mut *policy, asked.collect());
        assert_eq!(answers, expected);
        assert!(is_apart || passes > 10, "the answers came at once");
        for (&ticket, answer) in &answers {
            for (place, candidate) in answer.candidates.iter().enumerate() {
                let told = told(&reports, ticket, Some(place));
                if ticket == 2 {
                    assert!(told.is_empty());
                    continue;
                }
                assert_eq!(told.iter().map(|one| one.id).collect::<Vec<_>>(), candidate.token_ids);
                assert_eq!(told.iter().map(|one| one.logprob).collect::<Vec<_>>(), candidate.logprobs);
            }
        }
        let of_one = reports.iter().filter(|report| (report.ticket, report.candidate) == (1, Some(0)));
        assert!(of_one.count() > 20, "tokens come one by one");
    }
}

#[test]
fn the_likeliest_tokens_are_those_of_the_model() {
    let tokenizer = tokenizer();
    let model = model(&tokenizer);
    for mut policy in subjects() {
        let wishes = Wishes { alternatives: 3, ..Wishes::default() };
        let request = requests().remove(1);
        let (answers, reports, _) = advanced(&mut *policy, vec![(request.clone(), wishes)]);
        let told = told(&reports, 1, Some(0));
        assert_eq!(told.len(), answers[&1].candidates[0].token_ids.len());
        for (at, one) in told.iter().enumerate().step_by(6) {
            // Every token of the vocabulary in this place.
            let before = [&*request.prefix_ids, &answers[&1].candidates[0].token_ids[..at]].concat();
            let text = |id: u32| Scoring { ids: [&before[..], &[id]].concat(), prompt_len: before.len() };
            let scored = score(&model, &(0..tokenizer.vocab_size() as u32).map(text).collect::<Vec<_>>()).unwrap();
            let mut all: Vec<(u32, f32)> = (0..).zip(scored).map(|(id, scored)| (id, scored.logprobs[0])).collect();
            assert!((all[one.id as usize].1 - one.logprob).abs() < 1e-5);
            all.sort_by(|a, b| b.1.total_cmp(&a.1));
            assert_eq!(one.alternatives.len(), 3);
            for (listed, wanted) in one.alternatives.iter().zip(&all) {
                assert!(listed.0 == wanted.0 && (listed.1 - wanted.1).abs() < 1e-5, "{listed:?} is not {wanted:?}");
            }
        }
    }
}

#[test]
fn a_prefix_that_is_read_is_as_likely_as_its_score() {
    let model = model(&tokenizer());
    let expected = expected();
    for mut policy in subjects() {
        let read = Wishes { prefix: Some(1), alternatives: 1, ..Wishes::default() };
        // Twice, so that it is kept by then; beside others, one of which begins alike.
        for _ in 0..2 {
            let mut asked: Vec<_> = requests().iter().map(plain).collect();
            asked[0].1 = read.clone();
            asked.push((StepRequest { ticket: 9, k: 0, ..requests().remove(0) }, read.clone()));
            let (mut answers, reports, _) = advanced(&mut *policy, asked);
            assert_eq!(answers.remove(&9).unwrap().candidates, []);
            assert_eq!(answers, expected, "what is read is drawn as ever");
            let ids = requests().remove(0).prefix_ids.into_owned();
            let scored = score(&model, &[Scoring { ids: ids.clone(), prompt_len: 1 }]).unwrap().remove(0);
            for ticket in [0, 9] {
                let told = told(&reports, ticket, None);
                assert_eq!(told.iter().map(|one| one.id).collect::<Vec<_>>(), ids[1..]);
                for (one, wanted) in told.iter().zip(&scored.logprobs) {
                    assert!((one.logprob - wanted).abs() < 1e-5, "{} is not {wanted}", one.logprob);
                    assert!(one.alternatives[0].1 >= one.logprob);
                }
            }
        }
    }
    // In pieces of whatever size.
    let config = PolicyConfig { prefill_chunk_tokens: 3, max_prefill_tokens: 5, ..config() };
    let (_, reports, _) = advanced(
        &mut policy_with(config),
        requests().into_iter().map(|request| (request, Wishes { prefix: Some(1), ..Wishes::default() })).collect(),
    );
    for request in requests() {
        assert_eq!(told(&reports, request.ticket, None).len(), request.prefix_ids.len() - 1);
    }
}

#[test]
fn limits_of_one_request_are_its_own() {
    let limits = [
        SamplingConfig { top_k: 2, ..SamplingConfig::default() },
        SamplingConfig { top_p: 0.3, ..SamplingConfig::default() },
        SamplingConfig { min_p: 0.5, repetition_penalty: 1.7, ..SamplingConfig::default() },
    ];
    let unlimited = expected();
    for mut policy in subjects() {
        assert!([Wish::Sampling, Wish::Alternatives, Wish::Prefix].into_iter().all(|wish| policy.can(wish)));
        // Each request with limits of its own, but the last.
        let asked = requests().into_iter().zip(limits.iter().cloned().map(Some).chain([None]));
        let asked = asked.map(|(request, sampling)| (request, Wishes { sampling, ..Wishes::default() })).collect();
        let (answers, ..) = advanced(&mut *policy, asked);
        for (sampling, ticket) in limits.iter().zip(0..) {
            let sampling = sampling.clone();
            let mut limited = policy_with(PolicyConfig { sampling, ..config() });
            let alone = advanced(&mut limited, vec![plain(&requests()[ticket as usize])]).0;
            assert_eq!(answers[&ticket], alone[&ticket]);
            assert_ne!(answers[&ticket], unlimited[&ticket]);
        }
        assert_eq!(answers[&3], unlimited[&3]);
        let wrong =
            Wishes { sampling: Some(SamplingConfig { top_p: 2.0, ..SamplingConfig::default() }), ..Wishes::default() };
        let error = policy.submit_with(requests().remove(0), &wrong).unwrap_err();
        assert!(error.tree() == Some(0) && error.reason().contains("top_p is 2"), "{}", error.reason());
    }
}

#[test]
fn a_request_that_nobody_waits_for_is_answered_early_and_costs_no_other() {
    let expected = expected();
    // Devices may be done by the time that they are told.
    for (mut policy, is_apart) in subjects().into_iter().zip([false, true]) {
        for request in requests() {
            policy.submit(request).unwrap();
        }
        // Of a ticket that nobody has nothing comes.
        policy.cut_short(77);
        let mut answers = BTreeMap::new();
        for passes in 0.. {
            if passes == 3 {
                policy.cut_short(1);
            }
            for answer in policy.poll_for(Duration::ZERO).unwrap() {
                assert!(answers.insert(answer.ticket, answer).is_none());
            }
            if policy.pending() == 0 {
                break;
            }
        }
        let cut = answers.insert(1, expected[&1].clone()).unwrap();
        assert!(cut.candidates.is_empty() || (is_apart && cut == expected[&1]), "{cut:?}");
        assert_eq!(answers, expected);
        // What it held is free: it can be asked again, and be cut before it begins.
        policy.submit(requests().remove(1)).unwrap();
        policy.cut_short(1);
        let cut = policy.poll().unwrap().remove(0);
        assert!(cut.candidates.is_empty() || (is_apart && cut == expected[&1]), "{cut:?}");
        assert_eq!(advanced(&mut *policy, vec![plain(&requests()[1])]).0[&1], expected[&1]);
    }
    let mut one = policy_with(config());
    let before = one.stats().cached_bytes;
    for request in requests() {
        one.submit(request).unwrap();
    }
    one.poll_for(Duration::ZERO).unwrap();
    one.poll_for(Duration::ZERO).unwrap();
    assert!(one.stats().cached_bytes > before);
    requests().iter().for_each(|request| one.cut_short(request.ticket));
    assert_eq!(one.poll().unwrap().len(), 4);
    requests().iter().for_each(|request| one.forget(request.tree));
    assert_eq!(one.stats().cached_bytes, before);
}
