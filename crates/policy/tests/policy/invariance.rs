//! The answer to a request does not depend on what is decoded beside it, to the last bit.

use crate::tiny::{Step, play, policy, policy_with, root, trees};
use espalier_policy::PolicyConfig;
use espalier_search::{Expansion, Policy};

/// Bits, so that no tolerance slips in.
#[allow(clippy::type_complexity, reason = "a plain listing of all that must be equal")]
fn bits(history: &[Expansion]) -> Vec<(Option<u32>, Vec<(Vec<u32>, Vec<u32>, String)>)> {
    history
        .iter()
        .map(|answer| {
            let candidates = answer
                .candidates
                .iter()
                .map(|c| (c.token_ids.clone(), c.logprobs.iter().map(|p| p.to_bits()).collect(), c.text.clone()))
                .collect();
            (answer.value.map(f32::to_bits), candidates)
        })
        .collect()
}

#[test]
fn a_tree_is_the_same_alone_and_in_company() {
    let all = trees(21);
    let alone: Vec<_> = all.iter().map(|tree| bits(&play(&mut policy(), std::slice::from_ref(tree))[0])).collect();
    let grown = alone.iter().filter(|history| history.len() > 1).count();
    assert!(grown > 10, "only {grown} of 21 trees have more than a root: too few to say anything");

    for company in [2, 6, 21] {
        let together = play(&mut policy(), &all[..company]);
        for (tree, history) in together.iter().enumerate() {
            assert_eq!(bits(history), alone[tree], "tree {tree} among {company}");
        }
    }
    // Submitted in another order: 8 generates the numbers modulo 21 + ... by steps.
    let order: Vec<usize> = (0..21).map(|place| place * 8 % 21).collect();
    let shuffled: Vec<_> = order.iter().map(|&tree| all[tree].clone()).collect();
    for (place, history) in play(&mut policy(), &shuffled).iter().enumerate() {
        assert_eq!(bits(history), alone[order[place]], "tree {} at place {place}", order[place]);
    }
    // In a batch of other sizes.
    let sizes = [(1, 1), (7, 10), (1000, 100_000)];
    for (max_rows, max_prefill_tokens) in sizes {
        let config = PolicyConfig { max_rows, max_prefill_tokens, ..crate::tiny::config() };
        for (tree, history) in play(&mut policy_with(config), &all).iter().enumerate() {
            assert_eq!(bits(history), alone[tree], "tree {tree} with {max_rows} rows");
        }
    }
}

#[test]
fn requests_of_one_tree_run_in_their_order() {
    // The same prefix three times: the second and third find it cached and get the same answer for the same seed.
    let mut policy = policy();
    let request = root(&policy, 5, "3 + 4 = ", Step { k: 2, temperature: 0.9, seed: 1, ..Step::default() });
    let answers = crate::tiny::answer_all(&mut policy, vec![request.clone(), request.clone(), request.clone()]);
    assert_eq!(bits(&answers[1..2]), bits(&answers[2..3]));
    assert_eq!(answers[0].candidates, answers[1].candidates);
    let prompt = request.prefix_ids.len() as u64;
    assert_eq!(policy.stats().tokens_reused, 2 * prompt);
}
