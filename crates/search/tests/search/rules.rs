//! The rules of a simulation, one by one.

use super::{PROMPT, child, endings, info, plan, solution, tree_of};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeSource, FakeState, FakeTable, FakeTexts};
use espalier_search::{
    Candidate, Converged, Evaluation, Expansion, Finish, Judge, Next, Place, Prior, RequestBuffer, SearchConfig,
    SearchError, Stop, StopWhen, TreeSearch, Unit, Verdict, last_stop,
};
use espalier_tree::{Ending, NodeId, Tree, TreeInfo};
use std::sync::Arc;

/// Searches one tree to its end; why it ended, and the tree.
fn finished(config: &SearchConfig, source: &impl FakeSource) -> (Stop, TreeSearch) {
    let ids: Vec<u32> = PROMPT.bytes().map(u32::from).collect();
    let mut search =
        TreeSearch::new(&Arc::new(config.clone()), 0, info(0), PROMPT, &ids).expect("a valid configuration");
    let mut buffer = RequestBuffer::default();
    while let Next::Request(request) = search.next(&mut buffer) {
        search.answer(&source.answer(&request), &FakeJudge).expect("a valid answer");
    }
    (search.stop().expect("finished"), search)
}

fn children(tree: &Tree, id: NodeId) -> Vec<(String, Ending)> {
    tree.node(id).children().map(|at| (tree.text(at).to_owned(), tree.node(at).ending)).collect()
}

#[test]
fn equal_texts_are_merged_and_the_first_is_kept() {
    let a = plan(1, "a");
    let spaced = format!(" {a}\n");
    let root = FakeState::new(0.0).step(&spaced, 0.25).step(&a, 0.9).step(&plan(1, "b"), 0.5).step(&spaced, 0.8);
    let table = FakeTable::new().state("", root);
    let (_, search) = finished(&SearchConfig { simulations: 1, ..SearchConfig::default() }, &table);
    let tree = search.tree();
    assert_eq!(children(tree, NodeId::ROOT), [(spaced.clone(), Ending::None), (plan(1, "b"), Ending::None)]);
    let kept = tree.node(NodeId(1));
    assert!((kept.prior - 0.25).abs() < 1e-6, "the first's tokens");
    assert_eq!(tree.token_ids(NodeId(1)).len(), spaced.len());
    assert_eq!(search.work().duplicates, 2);
    // Sampled is sampled, merged or not.
    assert_eq!(search.work().sampled_tokens as usize, 2 * spaced.len() + a.len() + plan(1, "b").len());
}

#[test]
fn the_root_has_its_own_number_of_candidates() {
    let (_, search) = finished(&SearchConfig { simulations: 30, ..SearchConfig::default() }, &distinct(7));
    let tree = search.tree();
    assert_eq!(tree.node(NodeId::ROOT).children().len(), 5);
    let others = tree.ids().skip(1).filter(|&id| tree.node(id).is_expanded());
    assert!(others.map(|id| tree.node(id).children().len()).all(|count| count == 3));
}

/// Texts that are never malformed, cut or doubled.
fn distinct(seed: u64) -> FakeTexts {
    FakeTexts {
        malformed_probability: 0.0,
        endless_probability: 0.0,
        duplicate_probability: 0.0,
        solution_probability: 0.0,
        max_steps: 100,
        ..FakeTexts::new(seed)
    }
}

#[test]
fn a_path_has_at_most_max_depth_steps_and_one_solution() {
    let config = SearchConfig { simulations: 2, k: 2, k_root: 1, max_depth: 1, ..SearchConfig::default() };
    let table = FakeTable::new()
        .state("", FakeState::new(0.0).step(&plan(1, "a"), 0.5))
        .state(&plan(1, "a"), FakeState::new(0.0).step(&plan(2, "b"), 0.5).step(&solution("7"), 0.5));
    let (_, search) = finished(&config, &table);
    let tree = search.tree();
    assert_eq!(tree.node(NodeId(1)).ending, Ending::None, "one step is allowed");
    assert_eq!(children(tree, NodeId(1)), [(plan(2, "b"), Ending::TooDeep), (solution("7"), Ending::Correct)]);
    assert_eq!(tree.node(NodeId(2)).reward(), Some(-1.0));
    assert_eq!((tree.node(NodeId(2)).visits, tree.node(NodeId(2)).value_sum), (1, -1.0));
    // Two evaluations, -1 and +1.
    assert_eq!((tree.node(NodeId::ROOT).visits, tree.node(NodeId::ROOT).value_sum), (4, 0.0));

    let tree = tree_of(&SearchConfig { max_depth: 2, ..SearchConfig::default() }, distinct(3));
    let deepest = tree.ids().map(|id| tree.node(id).depth).max();
    assert_eq!(deepest, Some(3));
    assert!(tree.ids().all(|id| (tree.node(id).depth == 3) == (tree.node(id).ending == Ending::TooDeep)));
}

#[test]
fn a_cut_step_ends_its_path_whatever_it_says() {
    let cut = solution("7");
    let root = FakeState::new(0.0).cut_step(&cut, 0.5).cut_step("", 0.5).step("nonsense", 0.5).step(&plan(1, "a"), 0.5);
    let (_, search) =
        finished(&SearchConfig { simulations: 1, ..SearchConfig::default() }, &FakeTable::new().state("", root));
    let expected = [Ending::Length, Ending::Length, Ending::Malformed, Ending::None];
    assert_eq!(endings(search.tree())[1..], expected);
    let root = search.tree().node(NodeId::ROOT);
    assert_eq!((root.visits, root.value_sum), (4, -3.0), "one value and three rewards");
    assert_eq!(search.tree().node(NodeId(2)).prior.to_bits(), 0.0_f32.to_bits(), "no tokens, no probability");
}

#[test]
fn an_exhausted_node_ends_the_simulation_that_finds_it() {
    let a = plan(1, "a");
    let table = FakeTable::new()
        .state("", FakeState::new(0.0).step(&a, 0.5).step(&solution("8"), 0.5))
        .state(&a, FakeState::new(0.0).step(&solution("7"), 0.5));
    let at = |simulations| finished(&SearchConfig { simulations, ..SearchConfig::default() }, &table);
    // Two simulations expand; the third finds `a` exhausted, the fourth the root.
    let expected = [
        (2, Stop::Simulations, Ending::None, Ending::None),
        (3, Stop::Simulations, Ending::None, Ending::Exhausted),
        (4, Stop::Exhausted, Ending::Exhausted, Ending::Exhausted),
    ];
    for (simulations, stop, root, below) in expected {
        let (why, search) = at(simulations);
        let tree = search.tree();
        let found = (why, tree.node(NodeId::ROOT).ending, tree.node(child(tree, NodeId::ROOT, &a)).ending);
        assert_eq!(found, (stop, root, below), "{simulations} simulations");
        assert_eq!(search.work().simulations, u64::from(simulations));
        assert_eq!(tree.node(NodeId::ROOT).visits, 4, "an exhausted node backs nothing up");
        assert_eq!(tree.node(NodeId::ROOT).reward(), None);
    }
    let (why, search) = at(200);
    assert_eq!((why, search.work().simulations, search.work().requests), (Stop::Exhausted, 4, 2));
}

#[test]
fn a_leaf_without_room_is_left_alone() {
    // Nothing is known after `a`: no value, no candidates.
    let (a, b) = (plan(1, "a"), plan(1, "b"));
    let table = FakeTable::new()
        .state("", FakeState::new(0.0).step(&a, 0.9).step(&b, 0.1))
        .state(&b, FakeState::new(0.0).step(&solution("7"), 0.5));
    let (why, search) = finished(&SearchConfig::default(), &table);
    let tree = search.tree();
    let full = tree.node(child(tree, NodeId::ROOT, &a));
    assert_eq!((full.ending, full.visits, full.value_sum), (Ending::Exhausted, 1, -1.0));
    assert_eq!(full.value_estimate(), None);
    assert_eq!((why, search.work().requests), (Stop::Exhausted, 3));

    // The same for a prompt that fills the context.
    let (why, search) = finished(&SearchConfig::default(), &FakeTable::new());
    assert_eq!((why, search.tree().len(), search.work().requests), (Stop::Exhausted, 1, 1));
}

#[test]
fn softmax_priors_of_siblings_sum_to_one() {
    let root = FakeState::new(0.0).step(&plan(1, "a"), 0.5).step(&plan(1, "b"), 0.25).step(&solution("8"), 0.25);
    let config = SearchConfig { simulations: 1, prior: Prior::Softmax, ..SearchConfig::default() };
    let (_, search) = finished(&config, &FakeTable::new().state("", root));
    let priors: Vec<f32> = search.tree().ids().skip(1).map(|id| search.tree().node(id).prior).collect();
    for (prior, expected) in priors.iter().zip([0.5, 0.25, 0.25]) {
        assert!((prior - expected).abs() < 1e-6, "{priors:?}");
    }
}

#[test]
fn rollouts_give_their_mean_reward() {
    let root = FakeState::new(0.9)
        .step(&plan(1, "a"), 0.5)
        .path(&format!("{}{}", plan(1, "x"), solution("7")))
        .path(&solution("8"))
        .path("no end")
        .path(&solution("9"));
    let evaluation = Evaluation::Rollouts { count: 4 };
    let config = SearchConfig { simulations: 1, evaluation, max_step_tokens: 100, ..SearchConfig::default() };
    let ids: Vec<u32> = PROMPT.bytes().map(u32::from).collect();
    let table = FakeTable::new().state("", root);
    let mut search = TreeSearch::new(&Arc::new(config), 0, info(0), PROMPT, &ids).expect("valid");
    let (mut requests, mut buffer) = (Vec::new(), RequestBuffer::default());
    while let Next::Request(request) = search.next(&mut buffer) {
        search.answer(&table.answer(&request), &FakeJudge).expect("valid");
        requests.push(request.into_owned());
    }
    let asked: Vec<_> = requests.iter().map(|r| (r.unit, r.k, r.max_tokens, r.want_value)).collect();
    assert_eq!(asked, [(Unit::Path, 4, 700, false), (Unit::Step, 5, 100, false)]);
    assert_ne!(requests[0].seed, requests[1].seed);
    let root = search.tree().node(NodeId::ROOT);
    assert_eq!((root.visits, root.value_sum), (1, -0.5));
    assert_eq!(root.value_estimate(), None, "a rollout is not the value head's estimate");
}

#[test]
fn requests_carry_the_path_as_it_was_sampled() {
    let config = SearchConfig { simulations: 20, ..SearchConfig::default() };
    let ids: Vec<u32> = PROMPT.bytes().map(u32::from).collect();
    let mut search = TreeSearch::new(&Arc::new(config), 9, info(3), PROMPT, &ids).expect("valid");
    let texts = distinct(2);
    let (mut seeds, mut prefix_tokens) = (std::collections::HashSet::new(), 0);
    let mut buffer = RequestBuffer::default();
    while let Next::Request(request) = search.next(&mut buffer) {
        let request = request.into_owned();
        assert_eq!(search.next(&mut buffer), Next::Waiting, "each is given once");
        assert_eq!(request.step_ends[0] as usize, PROMPT.len());
        assert_eq!(*request.step_ends.last().expect("the prompt at least") as usize, request.prefix_ids.len());
        let found = search.tree().ids().find(|&id| *search.tree().prefix_ids(id) == *request.prefix_ids);
        let path = search.tree().path(found.expect("a node of the tree"));
        let ends: Vec<u32> = path.iter().map(|&id| search.tree().prefix_ids(id).len() as u32).collect();
        assert_eq!(request.step_ends, ends);
        assert_eq!((request.tree, request.max_tokens, request.want_value), (9, 1500, true));
        assert!(seeds.insert(request.seed));
        prefix_tokens += request.prefix_ids.len() as u64;
        search.answer(&texts.answer(&request), &FakeJudge).expect("valid");
    }
    assert_eq!((seeds.len(), search.work().requests, search.work().prefix_tokens), (20, 20, prefix_tokens));
}

#[test]
fn trees_stop_early_when_told_to() {
    let texts = FakeTexts::new(4);
    let config = |stop_when| SearchConfig { stop_when, ..SearchConfig::default() };
    let correct = |search: &TreeSearch| endings(search.tree()).into_iter().filter(|&e| e == Ending::Correct).count();

    let (why, search) = finished(&config(StopWhen { correct_solutions: Some(3), ..StopWhen::default() }), &texts);
    assert_eq!(why, Stop::Solved);
    assert!((3..=5).contains(&correct(&search)), "the last simulation may find several");

    let (why, search) = finished(&config(StopWhen { sampled_tokens: Some(2000), ..StopWhen::default() }), &texts);
    assert_eq!(why, Stop::Tokens);
    assert!((2000..3000).contains(&search.work().sampled_tokens));

    let converged = Some(Converged { window: 10, tolerance: 0.05 });
    let (why, search) = finished(&config(StopWhen { converged, ..StopWhen::default() }), &texts);
    assert_eq!(why, Stop::Converged);
    let simulations = search.work().simulations as u32;
    assert!(simulations >= 20 && simulations.is_multiple_of(10), "two looks at least: {simulations}");
    let q = |simulations| {
        let (_, search) = finished(&SearchConfig { simulations, ..SearchConfig::default() }, &texts);
        search.tree().node(NodeId::ROOT).q()
    };
    assert!((q(simulations) - q(simulations - 10)).abs() <= 0.05);
    assert!((2..simulations / 10).all(|look| (q(look * 10) - q(look * 10 - 10)).abs() > 0.05), "not before");
}

#[test]
fn wrong_answers_are_refused() {
    let candidate = |logprobs: &[f32]| Candidate {
        text: plan(1, "a"),
        token_ids: vec![1, 2],
        logprobs: logprobs.to_vec(),
        finish: Finish::Stop,
    };
    let good = candidate(&[-0.1, -0.2]);
    let refused = |value: Option<f32>, candidates: Vec<Candidate>, ticket: u64| {
        let mut search = TreeSearch::new(&Arc::default(), 0, info(0), PROMPT, &[1]).expect("valid");
        assert!(matches!(search.next(&mut RequestBuffer::default()), Next::Request(_)));
        search.answer(&Expansion { ticket, value, candidates }, &FakeJudge).expect_err("refused").to_string()
    };
    assert!(refused(None, vec![good.clone()], 0).contains("no value of a state"));
    assert!(refused(Some(f32::NAN), vec![good.clone()], 0).contains("the value NaN"));
    assert!(refused(Some(1.5), vec![good.clone()], 0).contains("the value 1.5"));
    assert!(refused(Some(0.0), vec![good.clone(); 6], 0).contains("6 candidates where at most 5"));
    assert!(refused(Some(0.0), vec![candidate(&[-0.1])], 0).contains("2 tokens and 1 log-probabilities"));
    assert!(refused(Some(0.0), vec![candidate(&[f32::NAN, -0.1])], 0).contains("log-probability NaN"));
    assert!(refused(Some(0.0), vec![candidate(&[3.0, -0.1])], 0).contains("log-probabilities are at most 0"));
    assert!(refused(Some(0.0), vec![good], 5).contains("request 5, which is not pending"));
    let error =
        TreeSearch::new(&Arc::new(SearchConfig { k: 0, ..SearchConfig::default() }), 0, info(0), PROMPT, &[1]).err();
    assert!(matches!(error, Some(SearchError::Setting(bad)) if bad.key == "k"));
}

#[test]
fn without_room_in_the_context_trees_still_end() {
    let texts = FakeTexts { context_tokens: PROMPT.len() + 120, ..FakeTexts::new(8) };
    for evaluation in [Evaluation::ValueHead, Evaluation::Zero, Evaluation::Rollouts { count: 2 }] {
        let config = SearchConfig { simulations: 2000, evaluation, ..SearchConfig::default() };
        let mut policy = FakePolicy::new(texts.clone());
        let trees = super::searched(&config, 64, 10, &mut policy).expect("the search runs");
        assert!(trees.iter().all(|(_, tree)| tree.node(NodeId::ROOT).ending == Ending::Exhausted));
        assert!(trees.iter().any(|(_, tree)| endings(tree).contains(&Ending::Length)));
    }
}

/// The fake judge, for texts whose tokens go on behind stop strings.
struct ByStops;

impl Judge for ByStops {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        FakeJudge.judge(at, text)
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        FakeJudge.judge_path(at, text)
    }

    fn end(&self, text: &str) -> Option<usize> {
        last_stop(text, &["</step>".to_owned(), "</solution>".to_owned()])
    }
}

#[test]
fn steps_whose_stop_strings_end_inside_tokens_are_read_whole() {
    // As sampled with the tokens "><" and ">\n".
    let (a, again) = ("<step>Plan 1: a</step><", "<step>Plan 1: a</step>\n");
    let (b, end) = ("step>Plan 2: b</step>\n", "</plan><solution>\\boxed{2}</solution><");
    let c = "/plan><solution>\\boxed{3}</solution>";
    let table = FakeTable::new()
        .state("", FakeState::new(0.0).step(a, 0.5).step(again, 0.5))
        .state(a, FakeState::new(0.0).step(b, 0.5).step(c, 0.5).path(&format!("{b}{end}")))
        .state(&format!("{a}{b}"), FakeState::new(0.0).step(end, 0.5));
    let search = |evaluation| {
        let config = SearchConfig { simulations: 20, evaluation, ..SearchConfig::default() };
        let ids: Vec<u32> = PROMPT.bytes().map(u32::from).collect();
        let info = TreeInfo { reference_answer: "2".into(), ..info(0) };
        let mut search = TreeSearch::new(&Arc::new(config), 0, info, PROMPT, &ids).expect("a valid configuration");
        let mut buffer = RequestBuffer::default();
        while let Next::Request(request) = search.next(&mut buffer) {
            search.answer(&table.answer(&request), &ByStops).expect("a valid answer");
        }
        search
    };
    let searched = search(Evaluation::Zero);
    let tree = searched.tree();
    let first = NodeId(1);
    assert_eq!(children(tree, NodeId::ROOT), [(a.to_owned(), Ending::Exhausted)], "one step, sampled twice");
    assert_eq!(children(tree, first), [(b.to_owned(), Ending::Exhausted), (c.to_owned(), Ending::Wrong)]);
    assert_eq!(children(tree, NodeId(2)), [(end.to_owned(), Ending::Correct)]);
    let rolled = search(Evaluation::Rollouts { count: 1 });
    assert_eq!(rolled.tree().node(first).value_estimate(), None);
    assert!(rolled.tree().node(first).q() > -1.0, "the rollout below it is right");
}
