//! Judges that see siblings together, weigh rewards, cannot speak, or take their time.

use super::{job, searched};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
use espalier_search::{
    About, Evaluation, Expansion, Judge, Place, Policy, PolicyError, Sampled, SearchConfig, SearchSummary, StepRequest,
    Stops, Verdict, search,
};
use espalier_tree::{Ending, NodeId, Tree, check};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// Adds two columns, how many siblings there were and whether the text is long, and sees siblings together.
struct Panel {
    /// Whether solutions are weighed by their length, or cannot be judged at all.
    verifies: bool,
}

impl Judge for Panel {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        FakeJudge.judge(at, text)
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        let verdict = FakeJudge.judge_path(at, text);
        if self.verifies { verdict } else { Verdict { reward: None, ..verdict } }
    }

    fn columns(&self) -> Arc<[String]> {
        ["siblings".to_owned(), "long".to_owned()].into()
    }

    fn takes_siblings(&self) -> bool {
        true
    }

    fn judge_siblings(&self, at: Place<'_>, sampled: &[Sampled<'_>]) -> Vec<Verdict> {
        let one = |sampled: &Sampled<'_>| {
            let verdict = FakeJudge.judge(at, &sampled.text);
            let scores = vec![1.0 / sampled.text.len() as f32, f32::NAN];
            let (ending, reward) = match verdict.ending {
                Ending::Correct | Ending::Wrong if !self.verifies => (Ending::Unverified, None),
                Ending::Correct => (Ending::Correct, Some(0.25)),
                Ending::Wrong => (Ending::Wrong, Some(-0.5)),
                ending => (ending, verdict.reward),
            };
            Verdict { ending, reward, scores, ..verdict }
        };
        sampled.iter().map(one).collect()
    }
}

fn judged(judge: &impl Judge, evaluation: Evaluation) -> (Vec<Tree>, SearchSummary) {
    let config = SearchConfig { simulations: 30, evaluation, ..SearchConfig::default() };
    let mut trees = Vec::new();
    let jobs = (0..8).map(job);
    let mut policy = FakePolicy::new(FakeTexts::new(5));
    let summary = search(&config, 4, &Stops::default(), jobs, &mut policy, judge, |_, tree| {
        trees.push(tree);
        Ok(())
    });
    (trees, summary.expect("the search runs"))
}

#[test]
fn what_judges_say_is_in_the_tree_and_their_reward_is_backed_up() {
    for evaluation in [Evaluation::ValueHead, Evaluation::Rollouts { count: 2 }] {
        let (trees, summary) = judged(&Panel { verifies: true }, evaluation);
        assert!(summary.endings.correct > 0 && summary.endings.wrong > 0 && summary.endings.unverified == 0);
        for tree in &trees {
            assert_eq!(tree.judges(), ["siblings", "long"]);
            assert_eq!(check(tree), []);
            for id in tree.ids().skip(1) {
                let node = tree.node(id);
                assert_eq!(tree.scores(id)[0], 1.0 / tree.text(id).len() as f32);
                assert!(tree.scores(id)[1].is_nan());
                match node.ending {
                    Ending::Correct => assert!(node.reward() == Some(0.25) && node.q() == 0.25),
                    Ending::Wrong => assert!(node.reward() == Some(-0.5) && node.q() == -0.5),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_solution_of_which_no_judge_speaks_ends_its_path_without_a_reward() {
    let (trees, summary) = judged(&Panel { verifies: false }, Evaluation::ValueHead);
    assert!(summary.endings.unverified > 0 && summary.endings.correct == 0 && summary.solved_trees == 0);
    for tree in &trees {
        assert_eq!(check(tree), []);
        let unverified = |id: &NodeId| tree.node(*id).ending == Ending::Unverified;
        for id in tree.ids().filter(unverified) {
            let node = tree.node(id);
            assert!(node.visits == 0 && node.reward().is_none() && !node.is_expanded() && tree.answer(id).is_some());
        }
    }
    // Rollouts that end so are not counted: the value of a state is 0, or -1 where others were cut.
    let (trees, _) = judged(&Panel { verifies: false }, Evaluation::Rollouts { count: 2 });
    let mut own = Vec::new();
    for tree in &trees {
        let below = |id| tree.children(id).iter().map(|child| child.value_sum).sum::<f64>();
        own.extend(tree.ids().filter(|&id| tree.node(id).is_expanded()).map(|id| tree.node(id).value_sum - below(id)));
    }
    assert!(own.iter().all(|&value| value == 0.0 || value == -1.0) && own.contains(&0.0), "{own:?}");
}

/// Judges as [`FakeJudge`] does, but sleeps before; it counts how many sleep at a time.
#[derive(Default)]
struct Sleepy {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Sleepy {
    fn sleep(&self, text: &str) {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
        // Not in the order in which they were asked.
        thread::sleep(Duration::from_micros(200 + 400 * (text.len() as u64 % 7)));
        self.now.fetch_sub(1, Relaxed);
    }
}

impl Judge for Sleepy {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        self.sleep(text);
        FakeJudge.judge(at, text)
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        self.sleep(text);
        FakeJudge.judge_path(at, text)
    }

    fn takes_time(&self) -> bool {
        true
    }
}

#[test]
fn judges_that_take_time_are_waited_for_tree_by_tree_and_change_nothing() {
    for (evaluation, leaves_per_tree, reproducible) in [
        (Evaluation::ValueHead, 1, true),
        (Evaluation::ValueHead, 4, true),
        (Evaluation::Rollouts { count: 2 }, 4, true),
        (Evaluation::ValueHead, 4, false),
    ] {
        let name = evaluation.to_string();
        let config =
            SearchConfig { simulations: 12, evaluation, leaves_per_tree, reproducible, ..SearchConfig::default() };
        let policy = || FakePolicy::new(FakeTexts::new(11)).shuffled(3, 4).batched(5);
        let mut expected = searched(&config, 8, 24, &mut policy()).expect("the search runs");
        let (judge, mut trees) = (Sleepy::default(), Vec::new());
        let jobs = (0..24).map(job);
        let summary = search(&config, 8, &Stops::default(), jobs, &mut policy(), &judge, |index, tree| {
            trees.push((index, tree));
            Ok(())
        });
        assert_eq!(summary.expect("the search runs").trees, 24);
        let most = judge.most.into_inner();
        assert!(most > 2, "{most} at a time");
        expected.sort_by_key(|(index, _)| *index);
        trees.sort_by_key(|(index, _)| *index);
        if reproducible {
            assert!(trees == expected, "{name} with {leaves_per_tree} leaves");
        } else {
            assert!(trees.iter().all(|(_, tree)| check(tree).is_empty()));
        }
    }
}

/// Gives up one request of each third tree, while its other requests are answered.
struct Failing {
    policy: FakePolicy<FakeTexts>,
    submitted: u64,
    lost: Vec<u64>,
}

impl Policy for Failing {
    fn about(&self) -> About {
        self.policy.about()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        self.policy.tokenize(prompt)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.submitted += 1;
        if request.tree.is_multiple_of(3) && self.submitted.is_multiple_of(7) {
            self.lost.push(request.tree);
            return Ok(());
        }
        self.policy.submit(request)
    }

    fn pending(&self) -> usize {
        self.policy.pending() + self.lost.len()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        match self.lost.pop() {
            Some(tree) => Err(PolicyError::of_tree(tree, "lost")),
            None => self.policy.poll(),
        }
    }

    fn forget(&mut self, tree: u64) {
        self.policy.forget(tree);
    }
}

#[test]
fn a_tree_that_fails_while_it_is_judged_is_given_up_alone() {
    let config = SearchConfig { simulations: 12, leaves_per_tree: 4, ..SearchConfig::default() };
    let expected = searched(&config, 8, 24, &mut FakePolicy::new(FakeTexts::new(11))).expect("the search runs");
    let mut policy = Failing { policy: FakePolicy::new(FakeTexts::new(11)).batched(3), submitted: 0, lost: Vec::new() };
    let mut trees = Vec::new();
    let jobs = (0..24).map(job);
    let summary = search(&config, 8, &Stops::default(), jobs, &mut policy, &Sleepy::default(), |index, tree| {
        trees.push((index, tree));
        Ok(())
    });
    let summary = summary.expect("the search runs");
    assert!(!summary.skipped.is_empty() && summary.skipped.iter().all(|skipped| skipped.index.is_multiple_of(3)));
    assert_eq!(trees.len() + summary.skipped.len(), 24);
    for (index, tree) in &trees {
        assert!(expected.iter().any(|(other, same)| other == index && same == tree), "tree {index}");
    }
}

#[test]
fn an_error_ends_a_search_whose_trees_are_being_judged() {
    let config = SearchConfig { simulations: 12, ..SearchConfig::default() };
    let mut policy = FakePolicy::new(FakeTexts::new(11));
    let full = search(&config, 8, &Stops::default(), (0..24).map(job), &mut policy, &Sleepy::default(), |_, _| {
        Err(espalier_search::SearchError::Sink("the disk is full".into()))
    });
    assert_eq!(full.expect_err("an error").to_string(), "cannot store a finished tree or a skipped problem");
}
