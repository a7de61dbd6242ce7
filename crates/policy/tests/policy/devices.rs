//! Several models behind one policy: the same trees on any number of devices.

use crate::tiny::{self, policy, policy_with, root, trees};
use espalier_model::Transformer;
use espalier_policy::{DevicesPolicy, ModelPolicy, PolicyConfig};
use espalier_search::testing::Subject;
use espalier_search::{Expansion, Policy, SamplingConfig, StepRequest, asked_beside};

fn devices(count: usize, config: &PolicyConfig) -> DevicesPolicy {
    DevicesPolicy::new((0..count).map(|_| policy_with(config.clone())).collect()).unwrap()
}

fn subject() -> Subject {
    Subject {
        open: Box::new(|| {
            let broken = || crate::promises::partly_broken();
            Box::new(DevicesPolicy::new(vec![broken(), broken()]).unwrap())
        }),
        ..crate::promises::subject()
    }
}

espalier_search::policy_suite!(subject());

/// All answers to the roots of some trees, by tree.
fn answers(policy: &mut dyn Policy, requests: &[StepRequest<'static>]) -> Vec<Expansion> {
    for request in requests {
        policy.submit(request.clone()).unwrap();
    }
    let mut all = Vec::new();
    while policy.pending() > 0 {
        all.extend(policy.poll().unwrap());
    }
    all.sort_by_key(|answer| answer.ticket);
    all
}

#[test]
fn trees_are_the_same_on_any_number_of_devices() {
    let one = policy();
    let requests: Vec<_> =
        trees(12).into_iter().map(|script| root(&one, script.tree, &script.prompt, script.step)).collect();
    let mut one = one;
    let wanted = answers(&mut one, &requests);
    for count in [1, 2, 3] {
        let mut several = devices(count, &tiny::config());
        assert_eq!(several.about(), one.about());
        assert_eq!(answers(&mut several, &requests), wanted, "{count} devices");
        let stats = several.stats();
        assert_eq!((stats.requests, stats.tokens_sampled), (12, one.stats().tokens_sampled));
        // Each has a part of the trees: what they begin with is read by each.
        assert!(count == 1 || stats.tokens_forwarded > one.stats().tokens_forwarded, "{stats:?}");
    }
}

#[test]
fn a_tree_stays_where_its_prefixes_are() {
    let mut several = devices(2, &tiny::config());
    let parent = root(&policy(), 1, "first second third", tiny::Step::default());
    answers(&mut several, &[parent.clone(), root(&policy(), 2, "3 + 4", tiny::Step::default())]);
    let before = several.stats();
    answers(&mut several, &[StepRequest { k: 0, ..parent.clone() }]);
    assert_eq!(several.stats().tokens_forwarded, before.tokens_forwarded);
    assert_eq!(several.stats().tokens_reused - before.tokens_reused, parent.prefix_ids.len() as u64);
    // So does what is asked beside it; a tree of its own would go to the other device, which has as few.
    let question = policy().tokenize("is it?").unwrap();
    for tree in [1, 2] {
        let ids = [&parent.prefix_ids[..], &question].concat();
        let beside = 1 << 63 | tree;
        assert_eq!(asked_beside(beside), Some(tree));
        let before = several.stats();
        let ends = vec![ids.len() as u32].into();
        answers(
            &mut several,
            &[StepRequest { tree: beside, k: 0, prefix_ids: ids.into(), step_ends: ends, ..parent.clone() }],
        );
        let read = several.stats().tokens_forwarded - before.tokens_forwarded;
        let whole = (parent.prefix_ids.len() + question.len()) as u64;
        assert_eq!(read, if tree == 1 { question.len() as u64 } else { whole });
        several.forget(beside);
    }
}

#[test]
fn models_that_differ_are_refused() {
    let other = {
        let tokenizer = tiny::tokenizer();
        let model = Transformer::init(tiny::model(&tokenizer).config(), 12, tch::Device::Cpu).unwrap();
        ModelPolicy::new(model, tokenizer, tiny::config()).unwrap()
    };
    let error = DevicesPolicy::new(vec![policy(), other]).err().unwrap();
    assert!(error.to_string().starts_with("the policy's devices: one has the policy "), "{error}");
    let error = DevicesPolicy::new(Vec::new()).err().unwrap();
    assert_eq!(error.to_string(), "the policy's devices: there is none");
}

#[test]
fn the_fast_numerics_find_the_same_steps_within_rounding() {
    let sampling = SamplingConfig { numerics: espalier_search::Numerics::Fast, ..SamplingConfig::default() };
    let mut fast = policy_with(PolicyConfig { sampling, ..tiny::config() });
    let mut invariant = policy();
    let requests: Vec<_> =
        trees(8).into_iter().map(|script| root(&invariant, script.tree, &script.prompt, script.step)).collect();
    let mut compared = 0;
    for (found, wanted) in answers(&mut fast, &requests).iter().zip(answers(&mut invariant, &requests)) {
        assert!((found.value.unwrap() - wanted.value.unwrap()).abs() < 1e-5);
        for (found, wanted) in found.candidates.iter().zip(&wanted.candidates) {
            assert_eq!(found.text, wanted.text);
            for (found, wanted) in found.logprobs.iter().zip(&wanted.logprobs) {
                assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared} tokens");
}
