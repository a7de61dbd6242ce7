//! Several leaves of one tree at a time.

use super::{PROMPT, info, job, searched};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeSource, FakeTexts};
use espalier_search::{Evaluation, Next, RequestBuffer, SearchConfig, Stop, StopWhen, Stops, TreeSearch, search};
use espalier_tree::{Tree, check};
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
        let one = SearchConfig { in_flight: 1, ..config };
        let expected = by_index(searched(&one, 30, &mut FakePolicy::new(texts.clone())).expect("runs"));
        for (in_flight, order_seed, delay, batch) in [(1, 1, 3, 1), (8, 2, 5, 3), (30, 3, 9, 1000)] {
            let config = SearchConfig { in_flight, ..config };
            let mut policy = FakePolicy::new(texts.clone()).shuffled(order_seed, delay).batched(batch);
            let trees = by_index(searched(&config, 30, &mut policy).expect("runs"));
            assert!(trees == expected, "in_flight {in_flight}, delay {delay}");
        }
        assert!(expected.iter().all(|(_, tree)| check(tree).is_empty()));
        let single = searched(&SearchConfig { leaves_per_tree: 1, ..config }, 30, &mut FakePolicy::new(texts));
        assert!(by_index(single.expect("runs")) != expected, "several leaves are another search");
    }
}

#[test]
fn in_the_continuous_mode_trees_are_sound() {
    let mut policy = FakePolicy::new(FakeTexts::new(22)).shuffled(4, 6).batched(5);
    let trees = searched(&SearchConfig { in_flight: 4, ..config(6, false) }, 40, &mut policy).expect("runs");
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
    let config = SearchConfig { in_flight: 3, ..config(4, false) };
    let summary = search(&config, &Stops::default(), jobs, &mut policy, &FakeJudge, |_, _| Ok(())).expect("not fatal");
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
    let mut search = TreeSearch::new(&Arc::new(config), 0, info(0), PROMPT, &[1]).expect("valid");
    assert_eq!((search.next(&mut buffer), search.stop()), (Next::Finished, Some(Stop::WallTime)));
    let long = SearchConfig { stop_when: StopWhen { wall_s: Some(1e6), ..StopWhen::default() }, ..config };
    let mut search = TreeSearch::new(&Arc::new(long), 0, info(0), PROMPT, &[1]).expect("valid");
    assert!(matches!(search.next(&mut buffer), Next::Request(_)));
}
