//! Tests of selection, against pairs found by hand.

use super::*;
use crate::arena::{Ending, Kind, NewNode, NodeId, Tree};
use crate::grown::{grown, info, solution, step};
use proptest::prelude::*;

/// One state with children of both kinds:
///
/// | node | step | N | W | Q |
/// |---|---|---|---|---|
/// | 1 | plan a | 4 | 2 | 0.5 |
/// | 2 | plan b | 2 | -0.5 | -0.25 |
/// | 3 | plan c | 1 | -0.75 | -0.75 |
/// | 4 | plan d | 1 | 0 | 0 |
/// | 5 | plan e, malformed | 1 | -1 | -1 |
/// | 6 | solution f | 1 | 1 | 1 |
/// | 7 | solution g | 1 | -1 | -1 |
/// | 8 | solution h | 1 | -1 | -1 |
/// | 9 | plan i, never visited | 0 | 0 | 0 |
fn one_state() -> Tree {
    let mut tree = Tree::new(info("p"), "Q:", &[1, 2]);
    let malformed = NewNode { ending: Ending::Malformed, reward: Some(-1.0), ..step(Kind::Plan, "e", 14) };
    tree.expand(
        NodeId::ROOT,
        &[
            step(Kind::Plan, "a", 10),
            step(Kind::Plan, "b", 11),
            step(Kind::Plan, "c", 12),
            step(Kind::Plan, "d", 13),
            malformed,
            solution("f", 15, 1.0),
            solution("g", 16, -1.0),
            solution("h", 17, -1.0),
            step(Kind::Plan, "i", 18),
        ],
    );
    let statistics = [(4, 2.0), (2, -0.5), (1, -0.75), (1, 0.0), (1, -1.0), (1, 1.0), (1, -1.0), (1, -1.0)];
    for (node, (visits, value_sum)) in (1..).zip(statistics) {
        tree.set_statistics(NodeId(node), visits, value_sum);
    }
    tree
}

fn nodes(pairs: &[StepPair]) -> Vec<(u32, u32, u32)> {
    pairs.iter().map(|pair| (pair.state_node, pair.chosen_node, pair.rejected_node)).collect()
}

fn selected(tree: &Tree, rule: PairRule, change: impl FnOnce(&mut PairRules)) -> Vec<(u32, u32, u32)> {
    let mut rules = PairRules { rule, ..PairRules::default() };
    change(&mut rules);
    nodes(&select_pairs(tree, &rules))
}

#[test]
fn the_sign_rule_takes_every_plan_pair_across_zero_and_one_solution_pair() {
    assert_eq!(selected(&one_state(), PairRule::Sign, |_| ()), [(0, 1, 2), (0, 1, 3), (0, 6, 7)]);
}

#[test]
fn the_solution_pair_is_the_extremes_only_if_they_differ_in_sign() {
    let mut tree = one_state();
    // f is now bad too, so max Q of the solutions is below 0.
    tree.set_statistics(NodeId(6), 2, -0.5);
    assert_eq!(selected(&tree, PairRule::Sign, |_| ()), [(0, 1, 2), (0, 1, 3)]);
    assert_eq!(selected(&tree, PairRule::BestWorst, |_| ()), [(0, 1, 3), (0, 6, 7)]);
}

#[test]
fn all_pairs_are_those_with_different_q() {
    let plans = [(0, 1, 2), (0, 1, 3), (0, 1, 4), (0, 2, 3), (0, 4, 2), (0, 4, 3)];
    let solutions = [(0, 6, 7), (0, 6, 8)];
    assert_eq!(selected(&one_state(), PairRule::All, |_| ()), [&plans[..], &solutions].concat());
    // Without a least number of visits, the step i, whose Q is 0 by definition, is paired too.
    let with_i = selected(&one_state(), PairRule::All, |rules| rules.min_visits = 0);
    assert_eq!(with_i.len(), 8 + 3);
    assert!(with_i.contains(&(0, 1, 9)) && with_i.contains(&(0, 9, 2)) && with_i.contains(&(0, 9, 3)));
}

#[test]
fn the_margin_includes_its_border() {
    // Q_a - Q_b = 0.75, Q_a - Q_c = 1.25, Q_a - Q_d = 0.5, Q_b - Q_c = 0.5, Q_d - Q_b = 0.25, Q_d - Q_c = 0.75.
    let at = |min_margin| selected(&one_state(), PairRule::Margin, |rules| rules.min_margin = min_margin);
    assert_eq!(at(0.75), [(0, 1, 2), (0, 1, 3), (0, 4, 3), (0, 6, 7), (0, 6, 8)]);
    assert_eq!(at(0.76), [(0, 1, 3), (0, 6, 7), (0, 6, 8)]);
    assert_eq!(at(2.0), [(0, 6, 7), (0, 6, 8)]);
}

#[test]
fn visits_and_margins_restrict_every_rule() {
    assert_eq!(selected(&one_state(), PairRule::Sign, |rules| rules.min_visits = 2), [(0, 1, 2)]);
    assert_eq!(selected(&one_state(), PairRule::Sign, |rules| rules.min_margin = 1.0), [(0, 1, 3), (0, 6, 7)]);
    // c, the worst, has one visit only; the worst of the others is b.
    assert_eq!(selected(&one_state(), PairRule::BestWorst, |rules| rules.min_visits = 2), [(0, 1, 2)]);
    assert_eq!(selected(&one_state(), PairRule::BestWorst, |_| ()), [(0, 1, 3), (0, 6, 7)]);
}

#[test]
fn steps_that_were_cut_or_too_deep_are_on_no_side() {
    for ending in [Ending::Malformed, Ending::TooDeep, Ending::Length] {
        let mut tree = one_state();
        tree.set_ending(NodeId(1), ending);
        tree.set_ending(NodeId(7), ending);
        assert_eq!(selected(&tree, PairRule::Sign, |_| ()), [(0, 6, 8)], "{ending:?}");
    }
    let mut tree = one_state();
    tree.set_ending(NodeId(1), Ending::Exhausted);
    assert_eq!(selected(&tree, PairRule::Sign, |_| ()).len(), 3);
}

/// Outcomes below: a leads to right and wrong answers, b to wrong ones only, c to a right one, d to none.
///
/// ```text
/// root - 1 a - 5 a1 - 7 correct
///      |     ` 6 a2 - 8 wrong
///      - 2 b - 9 wrong
///      - 3 c - 10 correct, 11 wrong
///      ` 4 d
/// ```
fn outcomes() -> Tree {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    let plan = |text| step(Kind::Plan, text, 2);
    tree.expand(NodeId::ROOT, &[plan("a"), plan("b"), plan("c"), plan("d")]);
    tree.expand(NodeId(1), &[plan("a1"), plan("a2")]);
    tree.expand(NodeId(5), &[solution("x", 3, 1.0)]);
    tree.expand(NodeId(6), &[solution("y", 4, -1.0)]);
    tree.expand(NodeId(2), &[solution("z", 5, -1.0)]);
    tree.expand(NodeId(3), &[solution("u", 6, 1.0), solution("v", 7, -1.0)]);
    for (node, value) in [(7, 1.0), (8, -1.0), (9, -1.0), (10, 1.0), (11, -1.0), (1, 0.5), (4, 0.9)] {
        tree.back_up(NodeId(node), value);
    }
    tree
}

#[test]
fn the_first_error_is_the_step_that_loses_the_answer() {
    // At the root only b is lost (d was not followed); a (Q 1/6) is better than c (Q 0). Below a, a2 loses it; below c, v.
    assert_eq!(selected(&outcomes(), PairRule::FirstError, |_| ()), [(0, 1, 2), (1, 5, 6), (3, 10, 11)]);
    let mut misled = outcomes();
    // A search that values the lost step higher than the found one gives no pair against its own numbers.
    misled.set_statistics(NodeId(2), 1, 0.75);
    assert_eq!(selected(&misled, PairRule::FirstError, |_| ()), [(1, 5, 6), (3, 10, 11)]);
}

/// Rewards to go: a 0 (one right, one wrong), b -1, c 0 (one right, one wrong), d none; a1 1, a2 -1.
#[test]
fn rewards_to_go_are_means_over_the_ends_below() {
    let at = |min_margin| selected(&outcomes(), PairRule::RewardToGo, |rules| rules.min_margin = min_margin);
    assert_eq!(at(0.0), [(0, 1, 2), (0, 3, 2), (1, 5, 6), (3, 10, 11)]);
    assert_eq!(at(1.0), at(0.0), "the border belongs to it");
    assert_eq!(at(1.5), [(1, 5, 6), (3, 10, 11)]);
    // Never against Q: the search values b above c.
    let mut misled = outcomes();
    misled.set_statistics(NodeId(2), 1, 0.1);
    assert_eq!(selected(&misled, PairRule::RewardToGo, |_| ()), [(0, 1, 2), (1, 5, 6), (3, 10, 11)]);
    // A right answer that two samples came to counts twice: a is then worth (2 - 1) / 3.
    let mut twice = outcomes();
    twice.set_statistics(NodeId(7), 2, 2.0);
    assert!(selected(&twice, PairRule::RewardToGo, |rules| rules.min_margin = 1.2).contains(&(0, 1, 2)));
}

/// Q: d 0.9, a 1/6, c 0, b -1. The best path ends at d, which was not followed.
#[test]
fn mcts_dpo_takes_the_extremes_along_the_best_path() {
    assert_eq!(selected(&outcomes(), PairRule::MctsDpo, |_| ()), [(0, 4, 2)]);
    let mut lower = outcomes();
    lower.set_statistics(NodeId(4), 1, 0.1);
    // a is best now; below it a1 (1) against a2 (-1); below a1 one solution only.
    assert_eq!(selected(&lower, PairRule::MctsDpo, |_| ()), [(0, 1, 2), (1, 5, 6)]);
}

#[test]
fn ranked_pairs_are_neighbours_in_q() {
    // Plans: a 0.5, d 0, b -0.25, c -0.75; solutions: f 1, then g and h, which are equal.
    assert_eq!(selected(&one_state(), PairRule::Ranked, |_| ()), [(0, 1, 4), (0, 4, 2), (0, 2, 3), (0, 6, 7)]);
    let lists = ranked_lists(&one_state(), &PairRules::default());
    let found: Vec<_> = lists.iter().map(|list| (list.kind, list.responses.join(" "), list.q.clone())).collect();
    let plans = (Kind::Plan, "a d b c".to_owned(), vec![0.5, 0.0, -0.25, -0.75]);
    assert_eq!(found, [plans, (Kind::Solution, "f g h".to_owned(), vec![1.0, -1.0, -1.0])]);
    assert_eq!((lists[0].prompt.as_str(), lists[0].prompt_ids.as_slice()), ("Q:", [1, 2].as_slice()));
    assert_eq!((lists[0].visits.clone(), lists[0].response_ids[0].clone()), (vec![4, 1, 2, 1], vec![10]));
    // Under a margin of 1.3 the plans (0.5 to -0.75) say too little.
    let rules = PairRules { min_margin: 1.3, ..PairRules::default() };
    assert_eq!(ranked_lists(&one_state(), &rules).len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lists.jsonl");
    assert_eq!(write_ranked_lists(&path, [Ok(one_state())], &PairRules::default()).unwrap(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    let back: Vec<RankedList> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(back, lists);
}

#[test]
fn pairs_are_balanced_and_ordered() {
    let pairs = select_pairs(&one_state(), &PairRules { rule: PairRule::All, ..PairRules::default() });
    let kinds = |pairs: &[StepPair], kind| pairs.iter().filter(|pair| pair.kind == kind).count();
    assert_eq!((kinds(&pairs, Kind::Plan), kinds(&pairs, Kind::Solution)), (6, 2));
    let rules = |balance, curriculum| PairRules { balance, curriculum, ..PairRules::default() };
    let even = arrange_pairs(pairs.clone(), &rules(true, Curriculum::None));
    assert_eq!((kinds(&even, Kind::Plan), kinds(&even, Kind::Solution)), (2, 2));
    assert_eq!(even, arrange_pairs(pairs.clone(), &rules(true, Curriculum::None)), "the same choice each time");
    assert!(nodes(&even).iter().all(|pair| nodes(&pairs).contains(pair)));
    let margins = |pairs: &[StepPair]| pairs.iter().map(|pair| pair.q_rejected - pair.q_chosen).collect::<Vec<_>>();
    let easy_first = arrange_pairs(pairs.clone(), &rules(false, Curriculum::Margin));
    assert_eq!(easy_first.len(), 8);
    assert!(margins(&easy_first).is_sorted() && !margins(&pairs).is_sorted());
    let deep = select_pairs(&outcomes(), &PairRules { rule: PairRule::All, ..PairRules::default() });
    let mut backwards = deep.clone();
    backwards.reverse();
    let shallow_first = arrange_pairs(backwards, &rules(false, Curriculum::Depth));
    assert_eq!(shallow_first.len(), deep.len());
    assert!(shallow_first.iter().map(|pair| pair.depth).is_sorted());
}

#[test]
fn a_pair_is_exactly_what_was_read_and_written() {
    let mut tree = outcomes();
    tree.set_statistics(NodeId(5), 3, 1.5);
    tree.set_statistics(NodeId(6), 1, -0.25);
    let pairs = select_pairs(&tree, &PairRules::default());
    let pair = pairs.iter().find(|pair| pair.state_node == 1).unwrap();
    // V(a) = (1.5 - 0.25) / 4 = 0.3125.
    let expected = StepPair {
        prompt: "Q:a".into(),
        chosen: "a1".into(),
        rejected: "a2".into(),
        prompt_ids: vec![1, 2],
        chosen_ids: vec![2],
        rejected_ids: vec![2],
        chosen_logprobs: vec![-0.5],
        rejected_logprobs: vec![-0.5],
        q_chosen: 0.5,
        q_rejected: -0.25,
        advantage_chosen: 0.1875,
        advantage_rejected: -0.5625,
        visits_chosen: 3,
        visits_rejected: 1,
        weight: 1.0,
        kind: Kind::Plan,
        depth: 2,
        problem_id: "p".into(),
        round: 1,
        state_node: 1,
        chosen_node: 5,
        rejected_node: 6,
    };
    assert_eq!(*pair, expected);
}

#[test]
fn pairs_that_read_alike_are_taken_once() {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    let plan = |text| step(Kind::Plan, text, 2);
    tree.expand(NodeId::ROOT, &[plan("<step>add</step>"), plan("<step> add </step>\n"), plan("<step>sub</step>")]);
    for (node, value) in [(1, 0.5), (2, 0.25), (3, -0.5)] {
        tree.back_up(NodeId(node), value);
    }
    assert_eq!(selected(&tree, PairRule::Sign, |rules| rules.dedup = false), [(0, 1, 3), (0, 2, 3)]);
    assert_eq!(selected(&tree, PairRule::Sign, |_| ()), [(0, 1, 3)]);
    // The same words on both sides are no preference.
    tree.set_statistics(NodeId(2), 1, -0.25);
    assert_eq!(selected(&tree, PairRule::Sign, |rules| rules.dedup = false), [(0, 1, 2), (0, 1, 3)]);
    assert_eq!(selected(&tree, PairRule::Sign, |_| ()), [(0, 1, 3)]);
}

#[test]
fn white_space_between_words_is_read() {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    let texts = ["1 2", "12", "1.5", "1. 5", "x y", "xy", "3 + 4", "3+4", "1  2\n"];
    tree.expand(NodeId::ROOT, &texts.map(|text| step(Kind::Plan, text, 2)));
    for (node, value) in (1..).zip([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3, 0.9]) {
        tree.back_up(NodeId(node), value);
    }
    let pairs = selected(&tree, PairRule::All, |_| ());
    let steps: std::collections::BTreeSet<u32> = pairs.iter().flat_map(|&(_, a, b)| [a, b]).collect();
    assert_eq!(Vec::from_iter(steps), [1, 2, 3, 4, 5, 6, 7], "the last two read as steps before them");
    assert_eq!(pairs.len(), 7 * 6 / 2);
}

#[test]
fn a_cap_takes_some_pairs_at_random_in_their_order() {
    let all = selected(&one_state(), PairRule::All, |_| ());
    let capped = |seed| {
        let mut tree = one_state();
        tree.info.tree_seed = seed;
        selected(&tree, PairRule::All, |rules| rules.max_pairs_per_problem = Some(3))
    };
    let mut times = vec![0; all.len()];
    for seed in 0..800 {
        let some = capped(seed);
        assert_eq!(some, capped(seed));
        let places: Vec<usize> = some.iter().map(|pair| all.iter().position(|other| other == pair).unwrap()).collect();
        assert!(places.len() == 3 && places.is_sorted());
        for place in places {
            times[place] += 1;
        }
    }
    // Each of the 8 pairs is taken with probability 3/8: 300 of 800 times, standard deviation 13.7.
    assert!(times.iter().all(|&n| (240..360).contains(&n)), "{times:?}");
    assert_eq!(selected(&one_state(), PairRule::All, |rules| rules.max_pairs_per_problem = Some(8)), all);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_selected_obeys_the_rules(
        seed in any::<u64>(),
        rule in prop::sample::select(
            vec![
                PairRule::Sign,
                PairRule::Margin,
                PairRule::BestWorst,
                PairRule::All,
                PairRule::FirstError,
                PairRule::MctsDpo,
                PairRule::Ranked,
            ],
        ),
        min_margin in 0.0..1.0_f64,
        min_visits in 0..4_u32,
        max_pairs_per_problem in prop::option::of(1..30_usize),
        dedup in any::<bool>(),
    ) {
        let tree = grown(seed, 40);
        let rules = PairRules { rule, min_margin, min_visits, max_pairs_per_problem, dedup, ..PairRules::default() };
        let pairs = select_pairs(&tree, &rules);
        prop_assert!(pairs.len() <= max_pairs_per_problem.unwrap_or(usize::MAX));
        let places: Vec<_> = pairs.iter().map(|pair| (pair.state_node, pair.kind as u8)).collect();
        prop_assert!(places.is_sorted());
        for pair in &pairs {
            let [state, chosen, rejected] = [pair.state_node, pair.chosen_node, pair.rejected_node].map(NodeId);
            let (better, worse) = (tree.node(chosen), tree.node(rejected));
            prop_assert_eq!((tree.parent(chosen), tree.parent(rejected)), (Some(state), Some(state)));
            prop_assert_eq!((better.kind, worse.kind), (pair.kind, pair.kind));
            prop_assert!(better.q() > worse.q() && better.q() - worse.q() >= min_margin);
            prop_assert!(better.visits.min(worse.visits) >= min_visits);
            prop_assert!(rule != PairRule::Sign || (better.q() > 0.0 && worse.q() < 0.0));
            for node in [better, worse] {
                prop_assert!(!matches!(node.ending, Ending::Malformed | Ending::TooDeep | Ending::Length));
            }
            let text: String = tree.path(chosen).into_iter().map(|at| tree.text(at)).collect();
            prop_assert_eq!(pair.prompt.clone() + &pair.chosen, text);
            prop_assert_eq!([&pair.prompt_ids[..], &pair.rejected_ids].concat(), tree.prefix_ids(rejected));
            // V(s) cancels between siblings (algorithm, section 3).
            let by_advantage = pair.advantage_chosen - pair.advantage_rejected;
            prop_assert!((by_advantage - (pair.q_chosen - pair.q_rejected)).abs() < 1e-5);
        }
    }
}

#[test]
fn the_constrained_rule_sets_what_passes_against_what_does_not() {
    let mut tree = one_state();
    tree.set_judges(["equations".to_owned()].into());
    // By Q: 1 (0.5, fails), 4 (0, passes), 2 (-0.25, passes), 3 (-0.75, fails); nobody was asked of the solutions.
    for (node, score) in [(1, 0.0), (2, 1.0), (3, 0.4), (4, 0.5)] {
        tree.set_scores(NodeId(node), &[score]);
    }
    assert_eq!(selected(&tree, PairRule::Constrained, |_| ()), [(0, 4, 3), (0, 6, 7)]);
    // A judge that is not asked fails nothing: then the best against the worst.
    let other = |rules: &mut PairRules| rules.judges = vec!["answer".into()];
    assert_eq!(selected(&tree, PairRule::Constrained, other), [(0, 1, 3), (0, 6, 7)]);
    // The best that passes is not better than the worst that fails: no pair.
    tree.set_scores(NodeId(3), &[1.0]);
    tree.set_scores(NodeId(4), &[f32::NAN]);
    assert_eq!(selected(&tree, PairRule::Constrained, |_| ()), [(0, 6, 7)]);
    for node in 1..=4 {
        tree.set_scores(NodeId(node), &[0.0]);
    }
    assert_eq!(selected(&tree, PairRule::Constrained, |_| ()), [(0, 6, 7)], "nothing passes");
}
