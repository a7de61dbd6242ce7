//! Texts, stops, ends and refusals.

use crate::tiny::{Step, answer_all, child, config, model, policy, policy_with, root, tokenizer, with_stops};
use espalier_model::{ModelConfig, Transformer};
use espalier_policy::{ModelPolicy, PolicyConfig};
use espalier_search::{Candidate, Finish, Policy, SamplingConfig, StepRequest, Unit, last_stop};
use espalier_tokenizer::Tokenizer;

/// Many candidates of a random model at a high temperature.
fn candidates(policy: &mut ModelPolicy, unit: Unit, step_stops: &[&str]) -> Vec<Candidate> {
    let requests = (0..8)
        .map(|seed| {
            let step = Step { k: 12, max_tokens: 60, temperature: 1.5, seed };
            let request = root(policy, seed, "5 Äpfel für <step>", step);
            StepRequest { unit, ..with_stops(request, step_stops, &["</solution>"]) }
        })
        .collect();
    answer_all(policy, requests).into_iter().flat_map(|answer| answer.candidates).collect()
}

#[test]
fn texts_end_after_their_stop_and_tags_stay_visible() {
    let tokenizer = tokenizer();
    let tag = tokenizer.encode("</step>").unwrap();
    assert_eq!(tag.len(), 1);
    let end_ids = model(&tokenizer).config().eos_token_ids.clone();
    let all = candidates(&mut policy(), Unit::Step, &["</step>"]);
    let (mut stopped, mut ended, mut cut) = (0, 0, 0);
    for candidate in &all {
        let (&last, before) = candidate.token_ids.split_last().unwrap();
        if end_ids.contains(&last) {
            assert_eq!(candidate.finish, Finish::Stop);
            assert_eq!(candidate.text, tokenizer.decode(before));
            ended += 1;
        } else if candidate.text.ends_with("</step>") {
            assert_eq!((candidate.finish, last), (Finish::Stop, tag[0]));
            assert_eq!(candidate.text, tokenizer.decode(&candidate.token_ids));
            stopped += 1;
        } else {
            assert_eq!((candidate.finish, candidate.token_ids.len()), (Finish::Length, 60));
            assert_eq!(candidate.text, tokenizer.decode(&candidate.token_ids));
            cut += 1;
        }
        assert_eq!(candidate.text.matches("</step>").count(), usize::from(candidate.text.ends_with("</step>")));
    }
    assert!(stopped > 3 && ended > 3 && cut > 3, "{stopped} stopped, {ended} ended, {cut} cut");
    assert!(all.iter().any(|candidate| candidate.text.contains("<solution>")), "added tokens are visible");
}

#[test]
fn a_path_runs_over_the_ends_of_steps() {
    let paths = candidates(&mut policy(), Unit::Path, &["</step>"]);
    assert!(paths.iter().any(|path| path.text.contains("</step>")));
    assert!(paths.iter().all(|path| !path.text.contains("</solution>") || path.text.ends_with("</solution>")));
}

#[test]
fn limits_and_penalty_reach_the_sampler() {
    // Top-k of 1 is greedy whatever the temperature.
    let sampling = SamplingConfig { top_k: 1, ..SamplingConfig::default() };
    let mut limited = policy_with(PolicyConfig { sampling, ..config() });
    let hot = root(&limited, 1, "Anna has", Step { temperature: 2.0, ..Step::default() });
    let greedy = StepRequest { temperature: 0.0, tree: 2, ..hot.clone() };
    let answers = answer_all(&mut limited, vec![hot, greedy]);
    assert_eq!(answers[0].candidates, answers[1].candidates);
    // With an enormous penalty, greedy decoding never repeats a token, nor takes one of the prompt.
    let sampling = SamplingConfig { repetition_penalty: 1e6, ..SamplingConfig::default() };
    let mut fresh = policy_with(PolicyConfig { sampling, ..config() });
    let request = root(&fresh, 1, "Anna has", Step { temperature: 0.0, k: 1, ..Step::default() });
    let request = with_stops(request, &[], &[]);
    let answer = answer_all(&mut fresh, vec![request.clone()]).remove(0);
    let mut ids = [&*request.prefix_ids, &answer.candidates[0].token_ids].concat();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(count > 20 && ids.len() == count, "{} of {count} differ", ids.len());
}

#[test]
fn ids_beyond_the_tokenizer_are_never_sampled() {
    let tokenizer = tokenizer();
    let known = tokenizer.vocab_size();
    let config = ModelConfig::llama(known + 500, 32, 64, 1, 2, 2, 128).unwrap();
    let model = Transformer::init(&config, 1, tch::Device::Cpu).unwrap();
    let mut policy = ModelPolicy::new(model, tokenizer, PolicyConfig::default()).unwrap();
    let request = root(&policy, 1, "Anna", Step { k: 8, max_tokens: 40, temperature: 1.5, seed: 0 });
    let answer = answer_all(&mut policy, vec![request]).remove(0);
    assert!(answer.candidates.iter().flat_map(|c| &c.token_ids).all(|&id| (id as usize) < known));
    // No value head, no value.
    assert_eq!(answer.value, None);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_value() {
    let mut policy = policy();
    let good = root(&policy, 7, "Anna", Step::default());
    let bad = [
        (StepRequest { prefix_ids: vec![].into(), step_ends: vec![].into(), ..good.clone() }, "no tokens"),
        (StepRequest { step_ends: vec![1].into(), ..good.clone() }, "[1]"),
        (StepRequest { step_ends: vec![2, 1, good.prefix_ids.len() as u32].into(), ..good.clone() }, "[2, 1"),
        (StepRequest { temperature: f32::NAN, ..good.clone() }, "NaN"),
        (StepRequest { prefix_ids: vec![9999].into(), step_ends: vec![1].into(), ..good.clone() }, "9999"),
    ];
    for (request, value) in bad {
        let error = policy.submit(request).unwrap_err();
        assert_eq!(error.tree(), Some(7));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(value), "{cause}");
    }
    // Nothing of them is pending, and the policy goes on.
    assert!(policy.poll().unwrap().is_empty());
    policy.submit(good.clone()).unwrap();
    assert_eq!((policy.pending(), policy.poll().unwrap().len(), policy.pending()), (1, 1, 0));
    // No candidates asked for, none given.
    let answer = answer_all(&mut policy, vec![StepRequest { k: 0, want_value: false, ..good.clone() }]).remove(0);
    assert!(answer.candidates.is_empty() && answer.value.is_none());
    let answer = answer_all(&mut policy, vec![StepRequest { max_tokens: 0, ..good }]).remove(0);
    assert!(answer.candidates.is_empty() && answer.value.is_some());
}

#[test]
fn broken_weights_are_reported() {
    let tokenizer = tokenizer();
    let mut model = model(&tokenizer);
    tch::no_grad(|| {
        for (_, weight) in model.parameters() {
            let _ = weight.shallow_clone().fill_(f64::NAN);
        }
    });
    let _: &mut Transformer = &mut model;
    let mut policy = ModelPolicy::new(model, tokenizer, config()).unwrap();
    let request = root(&policy, 7, "Anna", Step::default());
    policy.submit(request).unwrap();
    let error = policy.poll().unwrap_err();
    // Only this tree is lost, not the search.
    assert_eq!(error.tree(), Some(7));
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("NaN"), "{cause}");
}

#[test]
fn a_tokenizer_with_more_ids_than_the_model_is_refused() {
    let tokenizer: Tokenizer = tokenizer();
    let config = ModelConfig::llama(100, 32, 64, 1, 2, 2, 128).unwrap();
    let model = Transformer::init(&config, 1, tch::Device::Cpu).unwrap();
    let error = ModelPolicy::new(model, tokenizer, PolicyConfig::default()).err().unwrap();
    assert!(error.to_string().contains("100"), "{error}");
}

#[test]
fn an_added_token_that_the_model_lacks_is_neither_sampled_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    tokenizer().save(folder.path()).unwrap();
    let config_with_pad =
        r#"{"eos_token": "<|endoftext|>", "added_tokens_decoder": {"9999": {"content": "<|pad|>", "special": true}}}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), config_with_pad).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let vocabulary = tokenizer.vocab_size() - 1;
    let mut policy = ModelPolicy::new(model(&crate::tiny::tokenizer()), tokenizer, config()).unwrap();
    assert_eq!(model(&crate::tiny::tokenizer()).config().vocab_size, vocabulary);
    let step = Step { k: 4, max_tokens: 8, temperature: 1.0, seed: 1 };
    let request = root(&policy, 0, "first second", step);
    let candidates = answer_all(&mut policy, vec![request]).remove(0).candidates;
    assert!(candidates.iter().flat_map(|one| &one.token_ids).all(|&id| (id as usize) < vocabulary));
    let request = root(&policy, 1, "first <|pad|>", step);
    let error = policy.submit(request).unwrap_err();
    assert!(error.reason().contains("is not among the model's"), "{}", error.reason());
}

#[test]
fn a_stop_string_inside_a_token_leaves_text_and_tokens_in_agreement() {
    let (tokenizer, mut policy) = (tokenizer(), policy());
    let prompt = "first second third";
    let step = Step { k: 12, max_tokens: 40, temperature: 1.0, seed: 1 };
    // Many tokens have an "e" or a "1" and go on behind it; the second ends paths.
    let request = with_stops(root(&policy, 0, prompt, step), &["e", "1"], &["1"]);
    let stops = request.stop_strings().to_vec();
    let candidates = answer_all(&mut policy, vec![request.clone()]).remove(0).candidates;
    let mut inside = 0;
    for candidate in candidates.iter().filter(|one| last_stop(&one.text, &stops).is_some()) {
        let ids = [&*request.prefix_ids, &candidate.token_ids].concat();
        assert_eq!(tokenizer.decode(&ids), format!("{prompt}{}", candidate.text));
        assert_eq!(candidate.token_ids.len(), candidate.logprobs.len());
        let (last, before) = candidate.token_ids.split_last().unwrap();
        assert!(
            last_stop(&tokenizer.decode(before), &stops).is_none()
                && last_stop(&tokenizer.decode(&[*last]), &stops).is_some()
        );
        // What the last token has beyond the stop is the next step's.
        let end = last_stop(&candidate.text, &stops).unwrap();
        let next = child(&request, &candidate.token_ids, 2);
        assert_eq!(next.overhang(|ids| tokenizer.decode(ids)), candidate.text[end..]);
        inside += usize::from(end < candidate.text.len());
        // The model goes on from all that it has read, from the cache as without it.
        let tokens = |policy: &mut ModelPolicy| {
            let answer = answer_all(policy, vec![next.clone()]).remove(0);
            answer.candidates.into_iter().map(|candidate| candidate.token_ids).collect::<Vec<_>>()
        };
        let cached = tokens(&mut policy);
        policy.forget(0);
        assert_eq!(tokens(&mut policy), cached);
    }
    assert!(inside > 2, "{inside} of {} end inside a token", candidates.len());
}
