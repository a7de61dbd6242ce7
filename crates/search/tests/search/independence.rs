//! A tree depends on its seed and its answers, and on nothing else.

use super::{job, searched, tree_of};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
use espalier_search::{Evaluation, Judge, Place, SearchConfig, Stops, Verdict, search};
use espalier_tree::{Tree, check};
use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::{self, ThreadId};
use std::time::Duration;

fn by_index(mut trees: Vec<(u64, Tree)>) -> Vec<(u64, Tree)> {
    trees.sort_by_key(|(index, _)| *index);
    trees
}

#[test]
fn in_flight_and_the_order_of_answers_change_nothing() {
    for evaluation in [Evaluation::ValueHead, Evaluation::Rollouts { count: 2 }] {
        let config = SearchConfig { simulations: 40, evaluation, ..SearchConfig::default() };
        let texts = FakeTexts::new(11);
        let expected = searched(&config, 1, 100, &mut FakePolicy::new(texts.clone())).expect("the search runs");
        assert!(expected.iter().map(|(index, _)| *index).eq(0..100), "one at a time, the order is that of the jobs");
        let expected = by_index(expected);
        for (in_flight, order_seed, delay, batch) in [(1, 1, 3, 1), (4, 2, 5, 2), (64, 3, 0, 1000), (64, 4, 9, 40)] {
            let mut policy = FakePolicy::new(texts.clone()).shuffled(order_seed, delay).batched(batch);
            let trees = searched(&config, in_flight, 100, &mut policy).expect("the search runs");
            assert!(by_index(trees) == expected, "in_flight {in_flight}, delay {delay}");
        }
    }
}

/// A judge so slow that threads are worth it; it remembers which ones came.
#[derive(Default)]
struct SlowJudge(Mutex<HashSet<ThreadId>>);

impl Judge for SlowJudge {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        self.0.lock().expect("no thread panicked").insert(thread::current().id());
        thread::sleep(Duration::from_micros(50));
        FakeJudge.judge(at, text)
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        FakeJudge.judge_path(at, text)
    }
}

#[test]
fn threads_change_nothing() {
    let config = SearchConfig { simulations: 8, ..SearchConfig::default() };
    let on = |threads| {
        let (mut trees, judge) = (Vec::new(), SlowJudge::default());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let on_tree = |index, tree| {
            trees.push((index, tree));
            Ok(())
        };
        let mut policy = FakePolicy::new(FakeTexts::new(5));
        pool.install(|| search(&config, 64, &Stops::default(), (0..64).map(job), &mut policy, &judge, on_tree))
            .expect("the search runs");
        (trees, judge.0.into_inner().expect("no thread panicked").len())
    };
    let ((alone, one), (together, several)) = (on(1), on(3));
    assert!(one == 1 && several > 1, "{one} and {several} threads");
    assert!(alone == together, "even the order of completion is the same");
}

#[test]
fn the_seed_decides_the_tree() {
    let config = SearchConfig { simulations: 30, ..SearchConfig::default() };
    let mut trees = searched(&config, 64, 8, &mut FakePolicy::new(FakeTexts::new(5))).expect("the search runs");
    assert!(trees.iter().all(|(_, tree)| check(tree).is_empty()));
    trees.sort_by_key(|(index, _)| *index);
    let first = tree_of(&config, FakeTexts::new(5));
    assert!(trees[0].1 == first, "the same alone and in company");
    // All prompts are equal; only the tree seeds differ.
    let mut texts: Vec<_> =
        trees.iter().map(|(_, tree)| tree.ids().map(|id| tree.text(id)).collect::<String>()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 8);
}
