//! Several leaves of one tree at a time.

use super::{PROMPT, child, info, job, plan, searched, tree_of};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeSource, FakeState, FakeTable, FakeTexts};
use espalier_search::{
    Candidate, Evaluation, Expansion, Finish, Next, RequestBuffer, SearchConfig, StepRequest, Stop, StopWhen, Stops,
    TreeSearch, search,
};
use espalier_tree::{NodeId, Tree, check};
use std::collections::VecDeque;
use std::sync::Arc;

fn config(leaves_per_tree: usize, reproducible: bool) -> SearchConfig {
    SearchConfig { simulations: 60, leaves_per_tree, reproducible, ..SearchConfig::default() }
}

fn by_index(mut trees: Vec<(u64, Tree)>) -> Vec<(u64, Tree)> {
    trees.sort_by_key(|(index, _)| *index);
    trees
}

#[test]
fn in_the_reproducible_mode_the_order_of_answers_changes_nothing() {
    for evaluation in [Evaluation::ValueHead, Evaluation::Rollouts { count: 2 }] {
        let config = SearchConfig { evaluation, ..config(4, true) };
        let texts = FakeTexts::new(21);
        let expected = by_index(searched(&config, 1, 30, &mut FakePolicy::new(texts.clone())).expect("runs"));
        for (in_flight, order_seed, delay, batch) in [(1, 1, 3, 1), (8, 2, 5, 3), (30, 3, 9, 1000)] {
            let mut policy = FakePolicy::new(texts.clone()).shuffled(order_seed, delay).batched(batch);
            let trees = by_index(searched(&config, in_flight, 30, &mut policy).expect("runs"));
            assert!(trees == expected, "in_flight {in_flight}, delay {delay}");
        }
        assert!(expected.iter().all(|(_, tree)| check(tree).is_empty()));
        let single = searched(&SearchConfig { leaves_per_tree: 1, ..config }, 64, 30, &mut FakePolicy::new(texts));
        assert!(by_index(single.expect("runs")) != expected, "several leaves are another search");
    }
}

#[test]
fn in_the_continuous_mode_trees_are_sound() {
    let mut policy = FakePolicy::new(FakeTexts::new(22)).shuffled(4, 6).batched(5);
    let trees = searched(&config(6, false), 4, 40, &mut policy).expect("runs");
    assert_eq!(trees.len(), 40);
    for (_, tree) in &trees {
        assert_eq!(check(tree), []);
        let evaluated = tree.ids().filter(|&id| tree.node(id).value_estimate().is_some()).count();
        assert!(evaluated <= 60, "no more simulations than asked for");
    }
    // Four trees of six leaves, but for their beginnings and ends.
    assert!((13..=24).contains(&policy.asked().max_pending), "{}", policy.asked().max_pending);
}

/// The leaves of a wave differ, and with one leaf all is as without waves.
#[test]
fn a_wave_asks_about_different_leaves() {
    let ids: Vec<u32> = PROMPT.bytes().map(u32::from).collect();
    let texts = FakeTexts::new(3);
    let mut search = TreeSearch::new(&Arc::new(config(5, true)), 0, info(3), PROMPT, &ids).expect("valid");
    let (mut widths, mut buffer) = (Vec::new(), RequestBuffer::default());
    loop {
        let mut wave = Vec::new();
        while let Next::Request(request) = search.next(&mut buffer) {
            wave.push(request.into_owned());
        }
        if search.next(&mut buffer) == Next::Finished {
            break;
        }
        let mut prefixes: Vec<_> = wave.iter().map(|request| request.prefix_ids.clone()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), wave.len());
        widths.push(wave.len());
        // Answered from the last to the first.
        for request in wave.iter().rev() {
            assert_eq!(search.next(&mut buffer), Next::Waiting);
            search.answer(&texts.answer(request), &FakeJudge).expect("a valid answer");
        }
    }
    assert_eq!((widths[0], widths.iter().max()), (1, Some(&5)), "the root alone, then waves");
    assert_eq!(search.work().simulations, 60);
}

#[test]
fn a_lost_request_costs_the_tree_and_no_other() {
    let jobs = (0..12).map(|index| {
        let mut job = job(index);
        if index == 5 {
            job.prompt = PROMPT.replace("3 + 4", "a lost thing");
        }
        job
    });
    let mut policy = FakePolicy::new(FakeTexts::new(3)).losing("lost thing?</question><plan><step>").shuffled(1, 3);
    let summary = search(&config(4, false), 3, &Stops::default(), jobs, &mut policy, &FakeJudge, |_, _| Ok(()))
        .expect("not fatal");
    let skipped: Vec<u64> = summary.skipped.iter().map(|skip| skip.index).collect();
    assert_eq!((summary.trees, skipped), (11, vec![5]));
    let mut forgotten = policy.asked().forgotten.clone();
    forgotten.sort_unstable();
    assert!(forgotten.into_iter().eq(0..12), "each tree once, when nothing of it is pending");
}

#[test]
fn a_tree_stops_when_its_time_is_over() {
    let mut buffer = RequestBuffer::default();
    let stop_when = StopWhen { wall_s: Some(1e-9), ..StopWhen::default() };
    let config = SearchConfig { stop_when, ..config(1, true) };
    let mut search = TreeSearch::new(&Arc::new(config.clone()), 0, info(0), PROMPT, &[1]).expect("valid");
    assert_eq!((search.next(&mut buffer), search.stop()), (Next::Finished, Some(Stop::WallTime)));
    let long = SearchConfig { stop_when: StopWhen { wall_s: Some(1e6), ..StopWhen::default() }, ..config };
    let mut search = TreeSearch::new(&Arc::new(long), 0, info(0), PROMPT, &[1]).expect("valid");
    assert!(matches!(search.next(&mut buffer), Next::Request(_)));
}

/// Steps without an end: each has a value and a prior of its own, and follows from the seed alone.
struct Endless;

impl FakeSource for Endless {
    fn answer(&self, request: &StepRequest<'_>) -> Expansion {
        let candidate = |place: usize| Candidate {
            text: plan(place + 1, "go on"),
            token_ids: vec![place as u32],
            logprobs: vec![-0.1 * place as f32],
            finish: Finish::Stop,
        };
        let value = (request.seed % 1001) as f32 / 1001.0 - 0.5;
        let candidates = (0..request.k).map(candidate).collect();
        Expansion { ticket: request.ticket, value: Some(value), candidates }
    }
}

/// No step is terminal, so that a child's visits are the simulations through it, of which the first expands the root. Of 8
/// children 4 are considered, whatever the values are: with 17 simulations 2 rounds of 4 (16 / (2 * 4)), then 4 rounds of 2;
/// with 16 one round of 4 (15 / (2 * 4)), then 3 rounds of 2 (15 / (2 * 2)), and these again for the 5 that are left.
#[test]
fn gumbel_counts_only_simulations_that_begin() {
    for (simulations, expected) in [(17, [0, 0, 0, 0, 2, 2, 6, 6]), (16, [0, 0, 0, 0, 1, 1, 6, 7])] {
        for (leaves_per_tree, reproducible) in [(1, true), (3, true), (8, true), (8, false)] {
            let config = SearchConfig {
                simulations,
                gumbel_root: Some(4),
                k_root: 8,
                max_depth: 100,
                ..config(leaves_per_tree, reproducible)
            };
            let trees = searched(&config, 64, 10, &mut FakePolicy::new(Endless)).expect("runs");
            for (index, tree) in trees {
                let mut visits: Vec<u32> = tree.children(NodeId::ROOT).iter().map(|child| child.visits).collect();
                visits.sort_unstable();
                assert_eq!(visits, expected, "{leaves_per_tree} leaves, tree {index}");
            }
        }
    }
}

/// Two at a time, and a prior that decides nothing. The root; then a, and b, since a counts as -1 while it is asked about;
/// then a again (0.9), and b, since a counts as (0.9 - 1) / 2 = -0.05 against 0.1. Had the first visits never ended, a would
/// be (0.9 - 2) / 3 = -0.37 and b (0.1 - 1) / 2 = -0.45.
#[test]
fn a_visit_that_has_ended_counts_as_a_loss_no_longer() {
    let [a, b] = ["a", "b"].map(|name| plan(1, name));
    let next = |value| FakeState::new(value).step(&plan(2, "1"), 0.5).step(&plan(2, "2"), 0.5);
    let table = FakeTable::new()
        .state("", FakeState::new(0.0).step(&a, 0.5).step(&b, 0.25))
        .state(&a, next(0.9))
        .state(&b, next(0.1));
    let config = SearchConfig { simulations: 5, c_puct: 1e-6, ..config(2, true) };
    let tree = tree_of(&config, table);
    let visits = |text| tree.node(child(&tree, NodeId::ROOT, text)).visits;
    assert_eq!([visits(&a), visits(&b)], [2, 2]);
}

/// The engine looks ahead, as a caller of `next` does not.
#[test]
fn looking_ahead_changes_nothing() {
    for (seed, gumbel_root) in (0..20).flat_map(|seed| [(seed, None), (seed, Some(4))]) {
        let config = SearchConfig { evaluation: Evaluation::Rollouts { count: 2 }, gumbel_root, ..config(4, false) };
        let texts = FakeTexts::new(seed);
        let mut policy = FakePolicy::new(texts.clone()).batched(1);
        let engine = searched(&config, 64, 1, &mut policy).expect("runs").remove(0).1;

        let ids: Vec<u32> = PROMPT.bytes().map(u32::from).collect();
        let mut tree = TreeSearch::new(&Arc::new(config), 0, info(0), PROMPT, &ids).expect("valid");
        let (mut waiting, mut buffer) = (VecDeque::new(), RequestBuffer::default());
        loop {
            match tree.next(&mut buffer) {
                Next::Request(request) => waiting.push_back(request.into_owned()),
                Next::Waiting => {
                    let request = waiting.pop_front().expect("a request that is waited for");
                    tree.answer(&texts.answer(&request), &FakeJudge).expect("a valid answer");
                }
                Next::Finished => break,
            }
        }
        assert!(tree.into_tree() == engine, "texts {seed}, {gumbel_root:?}");
    }
}
