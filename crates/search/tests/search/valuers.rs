//! Tests of values that policies give: heads, paths, likelihoods, and the policy's own opinion.

use super::{info, job};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
use espalier_search::{
    About, Candidate, Combine, Evaluation, Expansion, HeadReading, InBatches, Judge, OwnQuestion, PathsReading, Place,
    Policy, PolicyError, PolicyValuer, RatioValuer, Report, Score, SearchConfig, SearchError, State, StepRequest,
    Stops, Told, Unit, ValueError, ValueSource, Valuer, Wish, Wishes, WithValues, search,
};
use espalier_tree::{NodeId, Tree, check};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

const QUESTION: [u32; 2] = [300, 301];
const YES: u32 = 302;
const NO: u32 = 303;

fn fake() -> FakePolicy {
    FakePolicy::new(FakeTexts::new(3)).shuffled(1, 4).batched(5)
}

fn config(evaluation: &str, leaves_per_tree: usize) -> SearchConfig {
    let evaluation: Evaluation = evaluation.parse().unwrap();
    SearchConfig { simulations: 20, leaves_per_tree, evaluation, ..SearchConfig::default() }
}

fn searched(policy: &mut impl Policy, config: &SearchConfig) -> Result<(Vec<Tree>, Vec<String>), SearchError> {
    let mut trees = Vec::new();
    let summary = search(config, 8, &Stops::default(), (0..16).map(job), policy, &FakeJudge, |index, tree| {
        trees.push((index, tree));
        Ok(())
    })?;
    trees.sort_by_key(|(index, _)| *index);
    let skipped = summary.skipped.into_iter().map(|skipped| skipped.reason).collect();
    Ok((trees.into_iter().map(|(_, tree)| tree).collect(), skipped))
}

/// The trees of a search with these sources.
fn trees<'s>(policy: impl Policy, sources: Vec<ValueSource<'s>>, own: Option<OwnQuestion>, leaves: usize) -> Vec<Tree> {
    std::thread::scope(|scope| {
        // The boxes may borrow what outlives this.
        let mut threads: Vec<Box<dyn FnOnce() + Send + 's>> = Vec::new();
        let mut policy =
            WithValues::new(policy, sources, own, Combine::Mean { less_sd: 0.0 }, |work| threads.push(work));
        threads.into_iter().for_each(|work| drop(scope.spawn(work)));
        let (trees, skipped) = searched(&mut policy, &config("folder:x", leaves)).unwrap();
        assert_eq!((skipped, policy.pending()), (Vec::new(), 0));
        trees
    })
}

/// What each valued state of a tree is worth, beside its tokens and where its steps end.
fn values(tree: &Tree) -> Vec<(Vec<u32>, Vec<u32>, f32)> {
    assert_eq!(check(tree), []);
    let expanded = tree.ids().filter(|&id| tree.node(id).is_expanded());
    let value = |id: NodeId| {
        let mut ends = vec![tree.token_ids(NodeId::ROOT).len() as u32];
        ends.extend(tree.path(id).into_iter().skip(1).scan(ends[0], |end, id| {
            *end += tree.token_ids(id).len() as u32;
            Some(*end)
        }));
        (tree.prefix_ids(id), ends, tree.node(id).value_estimate().unwrap())
    };
    expanded.map(value).collect()
}

/// The fake policy, saying how likely tokens are; numbered, since two policies find them differently likely.
struct Telling {
    fake: FakePolicy,
    number: u32,
    reports: Vec<Report>,
    /// Trees whose wishes it gives up.
    loses: fn(u64) -> bool,
    forgotten: Arc<Mutex<Vec<u64>>>,
}

impl Telling {
    fn new(number: u32) -> Telling {
        Telling { fake: fake(), number, reports: Vec::new(), loses: |_| false, forgotten: Arc::default() }
    }
}

fn logprob(number: u32, place: usize, id: u32) -> f32 {
    -(((place as u32 * 7 + id * number) % 13) as f32) / 16.0
}

fn opinion(ids: &[u32]) -> [f32; 2] {
    let sum: u32 = ids.iter().sum();
    [0.1 + 0.01 * (sum % 50) as f32, 0.2 + 0.01 * (sum % 7) as f32]
}

impl Policy for Telling {
    fn about(&self) -> About {
        About { has_value_head: false, ..self.fake.about() }
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        self.fake.tokenize(prompt)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.fake.submit(request)
    }

    fn can(&self, _wish: Wish) -> bool {
        true
    }

    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        let (ids, ticket) = (&request.prefix_ids, request.ticket);
        if *wishes != Wishes::default() && (self.loses)(request.tree) {
            return Err(PolicyError::of_tree(request.tree, "the fake policy has no opinion"));
        }
        if let Some(first) = wishes.prefix {
            let told =
                |at: usize| Told { id: ids[at], logprob: logprob(self.number, at, ids[at]), alternatives: vec![] };
            let tokens = (first..ids.len()).map(told).collect();
            self.reports.push(Report { ticket, candidate: None, first, tokens });
        }
        if wishes.alternatives > 0 {
            let state = ids.strip_suffix(&QUESTION).expect("it is asked the question");
            let [yes, no] = opinion(state);
            let alternatives = vec![(7, -0.1), (YES, yes.ln()), (NO, no.ln())];
            let tokens = vec![Told { id: 7, logprob: -0.1, alternatives }];
            self.reports.push(Report { ticket, candidate: Some(0), first: 0, tokens });
            let step_ends = vec![state.len() as u32].into();
            return self.fake.submit(StepRequest { prefix_ids: state.to_vec().into(), step_ends, ..request });
        }
        self.fake.submit(request)
    }

    fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    fn pending(&self) -> usize {
        self.fake.pending()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        self.fake.poll()
    }

    fn forget(&mut self, tree: u64) {
        self.forgotten.lock().unwrap().push(tree);
    }
}

#[test]
fn the_head_of_another_policy_gives_the_values_that_the_own_one_would() {
    let (expected, _) = searched(&mut fake(), &config("value_head", 1)).unwrap();
    let head = || PolicyValuer::new(fake(), HeadReading, 3);
    assert_eq!(trees(fake(), vec![vec![Box::new(head())]], None, 1), expected);
    // Twice the same value has no deviation.
    let both: Vec<ValueSource> = (0..2).map(|_| vec![Box::new(head()) as Box<dyn Valuer>]).collect();
    assert_eq!(trees(fake(), both, None, 1), expected);
}

#[test]
fn a_prover_s_value_is_the_mean_reward_of_its_paths() {
    let decode = |ids: &[u32]| String::from_utf8(ids.iter().map(|&id| id as u8).collect()).unwrap();
    let stops = Stops { step: ["</step>".to_owned()].into(), path: ["</solution>".to_owned()].into() };
    let reading = || PathsReading {
        count: 5,
        max_step_tokens: 200,
        max_depth: 6,
        temperature: 1.0,
        stops: stops.clone(),
        seed: 9,
        info,
        decode,
        judge: &FakeJudge,
    };
    let prover = || FakePolicy::new(FakeTexts::new(8)).shuffled(2, 3);
    let source: ValueSource = vec![Box::new(PolicyValuer::new(prover(), reading(), 4))];
    let found = trees(fake(), vec![source], None, 4);
    let mut seen = HashSet::new();
    for tree in &found {
        for (prefix_ids, step_ends, value) in values(tree) {
            // The paths, asked for by hand: their seed is the state's alone.
            let state = State { ticket: 1, tree: 1, prefix_ids: prefix_ids.clone(), step_ends: step_ends.clone() };
            let (request, _) = espalier_search::Reading::request(&mut reading(), &state).unwrap().unwrap();
            assert_eq!(
                (request.k, request.unit, &request.prefix_ids),
                (5, Unit::Path, &Cow::Borrowed(&prefix_ids[..]))
            );
            let mut policy = prover();
            policy.submit(request).unwrap();
            let answer = policy.poll().unwrap().remove(0);
            let blank = Tree::new(tree.info.clone(), "", &[]);
            let reward = |path: &Candidate| {
                let text = decode(&prefix_ids[step_ends[0] as usize..]) + &path.text;
                FakeJudge.judge_path(Place { tree: &blank, state: NodeId::ROOT }, &text).reward
            };
            let rewards: Vec<f32> = answer.candidates.iter().filter_map(reward).collect();
            let mean = if rewards.is_empty() { 0.0 } else { rewards.iter().sum::<f32>() / rewards.len() as f32 };
            assert!((value - mean).abs() < 1e-6, "{value} is not {mean}");
            seen.insert((mean * 60.0) as i32);
        }
    }
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn the_implicit_value_is_the_likelihood_ratio_of_the_last_step() {
    let ratio = RatioValuer::new(Telling::new(3), Telling::new(5), 0.5, 4);
    let mut seen = HashSet::new();
    for tree in trees(fake(), vec![vec![Box::new(ratio)]], None, 4) {
        for (ids, ends, value) in values(&tree) {
            let from = if let [.., start, _] = ends[..] { start as usize } else { ids.len() };
            let sum = |number| (from..ids.len()).map(|at| f64::from(logprob(number, at, ids[at]))).sum::<f64>();
            let expected = (0.5 * (sum(3) - sum(5))).clamp(-1.0, 1.0) as f32;
            assert!((value - expected).abs() < 1e-5, "{value} is not {expected}");
            seen.insert((expected * 32.0) as i32);
        }
    }
    assert!(seen.len() > 5 && seen.contains(&0), "{seen:?}");
}

fn question() -> OwnQuestion {
    OwnQuestion::new(QUESTION.to_vec(), [YES].into(), [NO].into())
}

#[test]
fn the_own_opinion_is_yes_against_no_and_counts_less_in_the_depth() {
    let policy = Telling::new(1);
    let forgotten = Arc::clone(&policy.forgotten);
    let mut depths = HashSet::new();
    for tree in trees(policy, Vec::new(), Some(question()), 4) {
        for (ids, ends, value) in values(&tree) {
            let [yes, no] = opinion(&ids);
            let depth = ends.len() - 1;
            let expected = match depth {
                0 => 0.0,
                1..=4 => (yes - no) / (yes + no),
                deep => (yes - no) / (yes + no) / (deep - 3) as f32,
            };
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected} at depth {depth}");
            depths.insert(depth);
        }
    }
    assert!(depths.len() > 2, "{depths:?}");
    // Of each tree both what was searched and what was asked.
    let forgotten = forgotten.lock().unwrap();
    assert_eq!((forgotten.len(), forgotten.iter().collect::<HashSet<_>>().len()), (32, 32));
}

#[test]
fn an_opinion_that_is_refused_costs_its_tree_and_no_other() {
    for leaves in [1, 4] {
        let expected = trees(Telling::new(1), Vec::new(), Some(question()), leaves);
        let policy = Telling { loses: |tree| tree & 3 == 2, ..Telling::new(1) };
        let mut policy = WithValues::new(policy, Vec::new(), Some(question()), Combine::Min, |_| {});
        let (found, skipped) = searched(&mut policy, &config("self", leaves)).unwrap();
        assert_eq!((found.len(), skipped.len(), policy.pending()), (12, 4, 0));
        assert!(skipped[0].ends_with("the fake policy has no opinion"), "{}", skipped[0]);
        assert!(found.iter().all(|tree| expected.contains(tree)));
    }
}

/// Ends, or panics, at its third batch.
struct Ending {
    left: u32,
    panics: bool,
}

impl Score for Ending {
    fn score(&mut self, states: &[Arc<State>]) -> Vec<Result<f32, ValueError>> {
        self.left -= 1;
        assert!(self.left > 0 || !self.panics, "as asked");
        let value = if self.left > 0 { Ok(0.25) } else { Err(ValueError::Source("the server is gone".to_owned())) };
        vec![value; states.len()]
    }

    fn batch(&self) -> usize {
        2
    }
}

#[test]
fn a_source_that_ends_ends_the_search_and_says_why() {
    for panics in [false, true] {
        let source: ValueSource = vec![Box::new(InBatches::new(Ending { left: 3, panics }))];
        let mut policy =
            WithValues::new(fake(), vec![source], None, Combine::Min, |work| drop(std::thread::spawn(work)));
        let error = searched(&mut policy, &config("folder:x", 2)).unwrap_err().reason();
        let why = if panics { "its thread panicked" } else { "the server is gone" };
        assert!(error.contains("a source of values has ended") && error.contains(why), "{error}");
    }
}
