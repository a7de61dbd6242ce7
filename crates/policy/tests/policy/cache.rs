//! Each token of a tree runs through the model once while the tree lives.

use crate::tiny::{Step, answer_all, child, policy, policy_with, root};
use espalier_policy::PolicyConfig;
use espalier_search::Policy;
use espalier_search::{Expansion, Finish, Numerics, SamplingConfig, StepRequest, Stops, Unit};
use std::borrow::Cow;
use std::collections::HashSet;

const PROMPT: &str = "<question>Anna has 3 apples and buys 4 more.</question>";

/// Tokens that the answer's rows must feed: each distinct beginning of a row once, its last token not.
fn fed(answers: &[Expansion]) -> u64 {
    let rows = answers.iter().flat_map(|answer| &answer.candidates);
    let beginnings: HashSet<&[u32]> =
        rows.flat_map(|row| (1..row.token_ids.len()).map(|length| &row.token_ids[..length])).collect();
    beginnings.len() as u64
}

#[test]
fn forwarded_tokens_are_the_distinct_tokens_of_the_tree() {
    let mut policy = policy();
    let request = root(&policy, 1, PROMPT, Step { k: 4, seed: 5, ..Step::default() });
    let prompt = request.prefix_ids.len() as u64;
    let answer = answer_all(&mut policy, vec![request.clone()]).remove(0);
    let sampled = |answer: &Expansion| -> u64 {
        answer.candidates.iter().map(|candidate| candidate.token_ids.len() as u64).sum()
    };
    let mut forwarded = prompt + fed(std::slice::from_ref(&answer));
    let mut all_sampled = sampled(&answer);
    assert_eq!(policy.stats().tokens_forwarded, forwarded);
    assert_eq!(policy.stats().tokens_reused, 0);

    // Two children and a grandchild: each feeds the last token of its own step, and its rows.
    let stopped: Vec<_> = answer.candidates.iter().filter(|candidate| candidate.finish == Finish::Stop).collect();
    assert!(stopped.len() >= 2, "{answer:?}");
    let first = child(&request, &stopped[0].token_ids, 21);
    let second = child(&request, &stopped[1].token_ids, 22);
    let mut reused = 0;
    let mut visit = |request: &StepRequest<'static>| {
        let answer = answer_all(&mut policy, vec![request.clone()]).remove(0);
        forwarded += 1 + fed(std::slice::from_ref(&answer));
        all_sampled += sampled(&answer);
        reused += request.prefix_ids.len() as u64 - 1;
        let stats = policy.stats();
        assert_eq!((stats.tokens_forwarded, stats.tokens_reused), (forwarded, reused));
        assert_eq!(stats.tokens_sampled, all_sampled);
        answer
    };
    let below = visit(&first);
    visit(&second);
    let grandchild = below.candidates.iter().find(|candidate| candidate.finish == Finish::Stop).unwrap();
    visit(&child(&first, &grandchild.token_ids, 23));

    // The value of a state that was expanded costs nothing at all.
    let again = StepRequest { k: 0, ..first.clone() };
    let answer = answer_all(&mut policy, vec![again]).remove(0);
    assert!(answer.candidates.is_empty() && answer.value == below.value);
    assert_eq!(policy.stats().tokens_forwarded, forwarded);

    // A forgotten tree is read again from its first token.
    assert!(policy.stats().cached_bytes > 0);
    policy.forget(1);
    assert_eq!(policy.stats().cached_bytes, 0);
    answer_all(&mut policy, vec![StepRequest { k: 0, ..first.clone() }]);
    assert_eq!(policy.stats().tokens_forwarded, forwarded + first.prefix_ids.len() as u64);
}

#[test]
fn siblings_that_are_equal_so_far_are_one_row() {
    let mut policy = policy();
    // Greedy siblings are equal to the end; at a low temperature they part somewhere.
    for temperature in [0.0, 0.02] {
        let tree = 1 + u64::from(temperature > 0.0);
        let step = Step { k: 6, max_tokens: 30, temperature, seed: 3 };
        let before = policy.stats();
        let request = root(&policy, tree, PROMPT, step);
        let answer = answer_all(&mut policy, vec![request.clone()]);
        let sampled: usize = answer[0].candidates.iter().map(|row| row.token_ids.len()).sum();
        let forwarded = policy.stats().tokens_forwarded - before.tokens_forwarded;
        assert_eq!(forwarded, request.prefix_ids.len() as u64 + fed(&answer));
        assert!(fed(&answer) + 6 < sampled as u64, "{} of {sampled} tokens were fed", fed(&answer));
        // The next tree has the same prompt, and would find it.
        policy.forget(tree);
        // Each row is what it is alone.
        for (index, row) in answer[0].candidates.iter().enumerate() {
            let mut alone = crate::tiny::policy();
            let request = StepRequest { k: index + 1, ..request.clone() };
            assert_eq!(answer_all(&mut alone, vec![request])[0].candidates[index].token_ids, row.token_ids);
        }
    }
}

#[test]
fn rollouts_share_the_prefix_of_the_step() {
    let mut policy = policy();
    let request = root(&policy, 1, PROMPT, Step { k: 2, max_tokens: 10, ..Step::default() });
    let rollouts = StepRequest { unit: Unit::Path, seed: 8, ..request.clone() };
    let answers = answer_all(&mut policy, vec![rollouts, request.clone()]);
    let stats = policy.stats();
    let prompt = request.prefix_ids.len() as u64;
    assert_eq!(stats.tokens_forwarded, prompt + fed(&answers[..1]) + fed(&answers[1..]));
    assert_eq!(stats.tokens_reused as usize, request.prefix_ids.len());
}

/// Bytes of 16 tokens of the tiny model: 2 layers of 2 heads, 8 numbers of a key and 16 of a value, which is filled up.
const BLOCK: usize = 16 * 2 * 2 * (8 + 16) * 4;

/// The same by LibTorch, which fills nothing up.
const FAST_BLOCK: usize = 16 * 2 * 2 * 2 * 8 * 4;

#[test]
fn a_small_budget_drops_the_deepest_of_the_oldest_and_changes_no_bit() {
    let mut free = policy();
    let request = root(&free, 1, PROMPT, Step { seed: 5, temperature: 0.8, ..Step::default() });
    // Room for the prompt and one token in each row.
    let blocks = request.prefix_ids.len().div_ceil(16) + 3;
    let mut tight = policy_with(PolicyConfig { cache_bytes: blocks * BLOCK, ..crate::tiny::config() });

    let wide = answer_all(&mut free, vec![request.clone()]).remove(0);
    assert_eq!(answer_all(&mut tight, vec![request.clone()]).remove(0), wide);
    for step in wide.candidates.iter().filter(|step| step.finish == Finish::Stop) {
        let below = child(&request, &step.token_ids, 9);
        let answer = answer_all(&mut free, vec![below.clone()]).remove(0);
        assert_eq!(answer_all(&mut tight, vec![below.clone()]).remove(0), answer);
        // The prompt is kept although it is older: all that is deeper goes first.
        assert!(tight.stats().tokens_reused as usize >= request.prefix_ids.len() - 1);
    }
    assert!(tight.stats().evictions > 0);
    assert!(tight.stats().tokens_forwarded > free.stats().tokens_forwarded);
}

#[test]
fn memory_stays_within_its_budget_and_is_given_back() {
    // The largest request alone takes 12 blocks; 12 trees want 46.
    let scripts = crate::tiny::trees(12);
    let mut free = policy();
    let wanted = crate::tiny::play(&mut free, &scripts);
    assert_eq!((free.stats().evictions, free.stats().restarts), (0, 0));
    assert!(free.stats().most_cached_bytes as usize > 45 * BLOCK, "{:?}", free.stats());
    for blocks in [13, 20, 30] {
        let mut tight = policy_with(PolicyConfig { cache_bytes: blocks * BLOCK, ..crate::tiny::config() });
        assert!(crate::tiny::play(&mut tight, &scripts) == wanted, "{blocks} blocks");
        let stats = tight.stats();
        assert!(stats.most_cached_bytes as usize <= blocks * BLOCK, "{blocks} blocks: {stats:?}");
        assert!(stats.evictions > 0 && (blocks > 13 || stats.restarts > 0), "{blocks} blocks: {stats:?}");
        assert_eq!(stats.cached_bytes, 0, "all trees are forgotten");
    }

    // The device's memory cannot be exceeded at all.
    let sampling = SamplingConfig { numerics: Numerics::Fast, ..SamplingConfig::default() };
    let mut device = policy_with(PolicyConfig { cache_bytes: 16 * FAST_BLOCK, sampling, ..crate::tiny::config() });
    let found = crate::tiny::play(&mut device, &scripts);
    assert!(device.stats().restarts > 0 && device.stats().most_cached_bytes as usize <= 16 * FAST_BLOCK);
    let steps = |histories: &[Vec<Expansion>]| histories.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(steps(&found), steps(&wanted));

    // Two thousand trees that are never forgotten.
    let mut tight = policy_with(PolicyConfig { cache_bytes: 16 * BLOCK, ..crate::tiny::config() });
    for tree in 0..2000 {
        let request =
            root(&tight, 1000 + tree, &format!("{tree} + 4"), Step { k: 1, max_tokens: 1, ..Step::default() });
        answer_all(&mut tight, vec![request]);
    }
    assert_eq!(tight.stats().most_cached_bytes as usize, 16 * BLOCK);
}

#[test]
fn what_begins_alike_is_read_once_for_all_trees() {
    let mut policy = policy();
    let head = "<question>Anna has 3 apples and buys 4 more.</question> A box holds 12 eggs. ";
    let step = Step { k: 1, max_tokens: 1, ..Step::default() };
    let requests: Vec<_> = (0..5).map(|tree| root(&policy, tree, &format!("{head}{tree} and so on"), step)).collect();
    let all: Vec<&[u32]> = requests.iter().map(|request| &*request.prefix_ids).collect();
    let distinct: HashSet<&[u32]> = all.iter().flat_map(|ids| (1..=ids.len()).map(|length| &ids[..length])).collect();
    let together = answer_all(&mut policy, requests.clone());
    assert_eq!(policy.stats().tokens_forwarded, distinct.len() as u64);
    let sum: usize = all.iter().map(|ids| ids.len()).sum();
    assert!(sum > 2 * distinct.len(), "{sum} tokens, {} distinct", distinct.len());
    for (request, wanted) in requests.into_iter().zip(together) {
        let mut answer = answer_all(&mut crate::tiny::policy(), vec![request]).remove(0);
        answer.ticket = wanted.ticket;
        assert_eq!(answer, wanted);
    }
    // What other trees need stays.
    (0..4).for_each(|tree| policy.forget(tree));
    assert!(policy.stats().cached_bytes > 0);
    policy.forget(4);
    assert_eq!(policy.stats().cached_bytes, 0);
}

#[test]
fn steps_that_end_the_path_are_not_kept() {
    let mut policy = policy();
    let all = crate::tiny::stops().step;
    let stops = Cow::Owned(Stops { step: all.clone(), path: all });
    let request = root(&policy, 1, PROMPT, Step { seed: 5, ..Step::default() });
    let request = StepRequest { stops, ..request };
    answer_all(&mut policy, vec![StepRequest { k: 0, ..request.clone() }]);
    let prompt_alone = policy.stats().cached_bytes;
    let answer = answer_all(&mut policy, vec![request]).remove(0);
    assert!(answer.candidates.iter().any(|candidate| candidate.finish == Finish::Stop), "{answer:?}");
    assert_eq!(policy.stats().cached_bytes, prompt_alone);
}

#[test]
fn the_context_is_never_exceeded() {
    let mut policy = policy_with(PolicyConfig { max_context_tokens: Some(20), ..crate::tiny::config() });
    assert_eq!(policy.about().max_context_tokens, Some(20));
    let with_length = |policy: &espalier_policy::ModelPolicy, length: usize| {
        let mut request = root(policy, length as u64, "3 + 4 = ", Step { max_tokens: 1000, ..Step::default() });
        request.prefix_ids = request.prefix_ids.iter().copied().cycle().take(length).collect();
        request.step_ends = vec![length as u32].into();
        request
    };
    let requests = [5, 19, 20, 21, 500].map(|length| with_length(&policy, length));
    let answers = answer_all(&mut policy, requests.to_vec());
    let longest = |index: usize| answers[index].candidates.iter().map(|c| c.token_ids.len()).max();
    assert!(longest(0) <= Some(15));
    assert_eq!(longest(1), Some(1));
    // A full context still has a value; a longer one has none.
    assert!(answers[2].candidates.is_empty() && answers[2].value.is_some());
    for answer in &answers[3..] {
        assert!(answer.candidates.is_empty() && answer.value.is_none());
    }
    let cut = answers[..2].iter().flat_map(|answer| &answer.candidates).filter(|c| c.finish == Finish::Length);
    assert!(cut.count() > 0);
}

#[test]
fn leaves_of_one_tree_run_side_by_side() {
    let asked = |trees: [u64; 4]| {
        let mut policy = policy();
        let step = Step { k: 6, max_tokens: 30, temperature: 0.8, seed: 4 };
        let roots: Vec<_> = trees.iter().map(|&tree| root(&policy, tree, PROMPT, step)).collect();
        let below = answer_all(&mut policy, vec![roots[0].clone()]).remove(0);
        let steps = below.candidates.iter().filter(|candidate| candidate.finish == Finish::Stop);
        let leaves: Vec<_> =
            steps.zip(&roots).map(|(step, root)| child(root, &step.token_ids, u64::from(step.token_ids[0]))).collect();
        assert!(leaves.len() >= 2, "{below:?}");
        let before = policy.stats().passes;
        let answers = answer_all(&mut policy, leaves);
        (policy.stats().passes - before, answers)
    };
    let ((of_one, together), (of_several, apart)) = (asked([1; 4]), asked([1, 2, 3, 4]));
    assert_eq!(together, apart, "the same answers");
    // As many passes as the longest needs, and not the sum; the others read their prompts first.
    assert!(of_one <= of_several, "{of_one} {of_several}");
}
