//! Many trees over one policy.

use super::{PROMPT, job, searched};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeSource, FakeTexts};
use espalier_search::{
    About, Expansion, Policy, PolicyError, SearchConfig, SearchError, SearchEvent, StepRequest, Stops, TreeJob, search,
    search_with_events,
};
use std::cell::Cell;

fn config() -> SearchConfig {
    SearchConfig { simulations: 15, ..SearchConfig::default() }
}

/// Answers one request at a time, those of tree 0 only when there is no other.
struct SlowForTreeZero {
    texts: FakeTexts,
    pending: Vec<StepRequest<'static>>,
}

impl Policy for SlowForTreeZero {
    fn about(&self) -> About {
        About::default()
    }

    fn pending(&self) -> usize {
        self.pending.len()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        Ok(prompt.bytes().map(u32::from).collect())
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.pending.push(request.into_owned());
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        self.pending.sort_by_key(|request| request.tree == 0);
        Ok(vec![self.texts.answer(&self.pending.remove(0))])
    }

    fn forget(&mut self, _tree: u64) {}
}

#[test]
fn a_slow_tree_holds_up_no_other() {
    let mut policy = SlowForTreeZero { texts: FakeTexts::new(1), pending: Vec::new() };
    let trees = searched(&config(), 2, 6, &mut policy).expect("the search runs");
    assert!(trees.iter().map(|(index, _)| *index).eq([1, 2, 3, 4, 5, 0]));
}

#[test]
fn no_more_trees_than_allowed_are_alive() {
    let (begun, done) = (Cell::new(0_usize), Cell::new(0_usize));
    let most = Cell::new(0);
    let jobs = (0..300).map(|index| {
        begun.set(begun.get() + 1);
        most.set(most.get().max(begun.get() - done.get()));
        job(index)
    });
    let mut policy = FakePolicy::new(FakeTexts::new(2)).shuffled(1, 3).batched(7);
    let summary = search(&config(), 16, &Stops::default(), jobs, &mut policy, &FakeJudge, |_, _| {
        done.set(done.get() + 1);
        Ok(())
    });
    assert_eq!(summary.expect("the search runs").trees, 300);
    assert_eq!((most.get(), policy.asked().max_pending), (16, 16));
    let mut forgotten = policy.asked().forgotten.clone();
    forgotten.sort_unstable();
    assert!(forgotten.into_iter().eq(0..300), "each tree once");
}

#[test]
fn bad_problems_are_skipped_and_reported() {
    let jobs = (0..40).map(|index| {
        let prompt = match index {
            3 | 4 | 39 => PROMPT.replace("3 + 4", "an unreadable thing"),
            7 => PROMPT.replace("3 + 4", "a lost thing"),
            _ => PROMPT.to_owned(),
        };
        TreeJob { prompt, ..job(index) }
    });
    let mut policy = FakePolicy::new(FakeTexts::new(3)).refusing("unreadable").losing("lost").shuffled(1, 2);
    let mut finished = Vec::new();
    let summary = search(&config(), 4, &Stops::default(), jobs, &mut policy, &FakeJudge, |index, _| {
        finished.push(index);
        Ok(())
    })
    .expect("bad problems are not fatal");
    finished.sort_unstable();
    assert!(finished.iter().copied().eq((0..40).filter(|index| ![3, 4, 7, 39].contains(index))));
    let mut skipped = summary.skipped.clone();
    skipped.sort_by_key(|skip| skip.index);
    let found: Vec<_> = skipped.iter().map(|skip| (skip.index, skip.problem_id.as_str())).collect();
    assert_eq!(found, [(3, "p3"), (4, "p4"), (7, "p7"), (39, "p39")]);
    assert!(skipped[0].reason.contains("the prompt cannot be used") && skipped[0].reason.contains("unreadable"));
    assert!(skipped[2].reason.contains("the policy gave up a request of tree 7"), "{}", skipped[2].reason);
    assert!(policy.asked().forgotten.contains(&7));
}

#[test]
fn a_skipped_problem_is_told_when_it_happens() {
    let jobs = (0..40).map(|index| {
        let prompt = if index % 10 == 3 { PROMPT.replace("3 + 4", "an unreadable thing") } else { PROMPT.to_owned() };
        TreeJob { prompt, ..job(index) }
    });
    let mut policy = FakePolicy::new(FakeTexts::new(3)).refusing("unreadable");
    let (mut ended, mut told) = (Vec::new(), Vec::new());
    let summary = search_with_events(&config(), 1, &Stops::default(), jobs, &mut policy, &FakeJudge, |event| {
        match event {
            SearchEvent::Finished { index, .. } => ended.push(index),
            SearchEvent::Skipped(skipped) => {
                ended.push(skipped.index);
                told.push(skipped.clone());
            }
            SearchEvent::Advanced(_) => {}
        }
        Ok(())
    })
    .expect("bad problems are not fatal");
    assert!(ended.into_iter().eq(0..40), "one tree at a time, each job ends in its turn");
    assert_eq!(told, summary.skipped);
    assert!(told.iter().map(|skipped| skipped.problem_id.as_str()).eq(["p3", "p13", "p23", "p33"]));

    let result = search_with_events(
        &config(),
        1,
        &Stops::default(),
        [job(0)],
        &mut policy.refusing("3 + 4"),
        &FakeJudge,
        |event| match event {
            SearchEvent::Skipped(_) => Err(SearchError::Sink("the disk is full".into())),
            _ => Ok(()),
        },
    );
    assert!(matches!(result, Err(SearchError::Sink(_))), "a skipped problem that cannot be stored ends the search");
}

#[test]
fn a_search_of_bad_problems_only_ends() {
    let mut policy = FakePolicy::new(FakeTexts::new(3)).refusing("question");
    let summary = search(&config(), 4, &Stops::default(), (0..50).map(job), &mut policy, &FakeJudge, |_, _| Ok(()))
        .expect("not fatal");
    assert_eq!((summary.trees, summary.skipped.len()), (0, 50));
    let summary = search(&config(), 4, &Stops::default(), std::iter::empty(), &mut policy, &FakeJudge, |_, _| Ok(()))
        .expect("no jobs");
    assert_eq!(summary.trees, 0);
}

#[test]
fn the_summary_adds_up() {
    let mut policy = FakePolicy::new(FakeTexts::new(6)).shuffled(2, 2);
    let mut trees = Vec::new();
    let mut seen = Vec::new();
    let summary =
        search_with_events(&config(), 8, &Stops::default(), (0..30).map(job), &mut policy, &FakeJudge, |event| {
            match event {
                SearchEvent::Finished { tree, .. } => trees.push(tree),
                SearchEvent::Skipped(skipped) => panic!("no problem is bad: {skipped:?}"),
                SearchEvent::Advanced(so_far) => seen.push((so_far.trees, so_far.work.requests)),
            }
            Ok(())
        })
        .expect("the search runs");
    assert_eq!(summary.trees, 30);
    assert_eq!(summary.nodes, trees.iter().map(|tree| tree.len() as u64).sum::<u64>());
    let e = summary.endings;
    let ends = e.none + e.correct + e.wrong + e.malformed + e.too_deep + e.length + e.exhausted;
    assert_eq!(ends, summary.nodes);
    assert!(e.correct > 0 && e.wrong > 0 && e.malformed > 0);
    assert!(summary.solved_trees > 0 && summary.solved_trees <= 30);
    assert_eq!(summary.stops.simulations + summary.stops.exhausted, 30);
    assert_eq!(summary.work.requests, policy.asked().requests);
    let evaluated = trees.iter().flat_map(|tree| tree.ids().map(|id| tree.node(id).value_estimate().is_some()));
    assert_eq!(evaluated.filter(|&is| is).count() as u64, summary.work.requests);
    assert!(summary.work.simulations >= summary.work.requests);
    assert!(seen.is_sorted() && seen.last() == Some(&(30, summary.work.requests)));
    assert!(seen[0].1 > 0 && seen[0].0 == 0, "progress is told before the first tree is finished");
}

#[test]
fn the_summary_tells_where_the_time_went() {
    let nap = std::time::Duration::from_millis(4);
    let (mut polls, mut stored) = (0, 0);
    let mut policy = Broken(FakePolicy::new(FakeTexts::new(6)).shuffled(2, 2), |answers| {
        polls += 1;
        std::thread::sleep(nap);
        Ok(answers)
    });
    let on_tree = |_, _| {
        stored += 1;
        std::thread::sleep(nap);
        Ok(())
    };
    let summary = search(&config(), 8, &Stops::default(), (0..10).map(job), &mut policy, &FakeJudge, on_tree)
        .expect("the search runs");
    assert!(polls > 15 && stored == 10);
    assert!(summary.policy_s >= nap.as_secs_f64() * f64::from(polls), "{summary:?}");
    assert!(summary.store_s >= nap.as_secs_f64() * f64::from(stored), "{summary:?}");
    // Rounding apart, the three are all there is.
    assert!(summary.engine_s() > 0.0 && summary.policy_s + summary.store_s < summary.wall_s, "{summary:?}");
}

/// A policy that breaks its contract in one way.
struct Broken<F>(FakePolicy, F);

impl<F: FnMut(Vec<Expansion>) -> Result<Vec<Expansion>, PolicyError>> Policy for Broken<F> {
    fn about(&self) -> About {
        About::default()
    }

    fn pending(&self) -> usize {
        self.0.pending()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        self.0.tokenize(prompt)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.0.submit(request)
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        let answers = self.0.poll()?;
        (self.1)(answers)
    }

    fn forget(&mut self, tree: u64) {
        self.0.forget(tree);
    }
}

fn broken(change: impl FnMut(Vec<Expansion>) -> Result<Vec<Expansion>, PolicyError>) -> Result<usize, SearchError> {
    let mut policy = Broken(FakePolicy::new(FakeTexts::new(1)), change);
    searched(&config(), 4, 10, &mut policy).map(|trees| trees.len())
}

#[test]
fn a_broken_policy_ends_the_search() {
    let error = broken(|_| Err(PolicyError::new("out of memory"))).expect_err("fatal");
    assert!(matches!(error, SearchError::Policy(_)));
    assert!(matches!(broken(|_| Ok(Vec::new())), Err(SearchError::NoAnswer { pending: 4 })));
    let twice = |mut answers: Vec<Expansion>| {
        answers.push(answers[0].clone());
        Ok(answers)
    };
    assert!(matches!(broken(twice), Err(SearchError::UnknownTicket { .. })));
    let foreign = |mut answers: Vec<Expansion>| {
        answers[0].ticket += 1_000_000;
        Ok(answers)
    };
    assert!(matches!(broken(foreign), Err(SearchError::UnknownTicket { .. })));
    let headless = |mut answers: Vec<Expansion>| {
        for answer in &mut answers {
            answer.value = None;
        }
        Ok(answers)
    };
    assert!(matches!(broken(headless), Err(SearchError::NoValue)));
    let foreign_tree = |_| Err(PolicyError::of_tree(77, "lost"));
    assert!(matches!(broken(foreign_tree), Err(SearchError::Policy(_))), "no such tree");
}

#[test]
fn a_bad_answer_costs_one_tree() {
    let mut is_first = true;
    let trees = broken(|mut answers| {
        if std::mem::take(&mut is_first) {
            answers[0].value = Some(f32::INFINITY);
        }
        Ok(answers)
    });
    assert_eq!(trees.expect("not fatal"), 9);
}

#[test]
fn a_full_disk_ends_the_search() {
    let mut policy = FakePolicy::new(FakeTexts::new(1));
    let result = search(&config(), 2, &Stops::default(), (0..5).map(job), &mut policy, &FakeJudge, |_, _| {
        Err(SearchError::Sink("no space left".into()))
    });
    assert!(matches!(result, Err(SearchError::Sink(_))));
    let result = search(&config(), 0, &Stops::default(), (0..5).map(job), &mut policy, &FakeJudge, |_, _| Ok(()));
    assert!(matches!(result, Err(SearchError::Setting(bad)) if bad.key == "in_flight"));
}
