//! Best-of-n, beam search and best-first search, on trees worked out by hand.

use super::{child, plan, searched, solution, tree_of};
use espalier_search::fake::{FakePolicy, FakeState, FakeTable, FakeTexts};
use espalier_search::{Evaluation, SearchConfig, StopWhen, Strategy};
use espalier_tree::{Ending, NodeId, Tree, check};

fn statistics(tree: &Tree, id: NodeId) -> (u32, f64) {
    (tree.node(id).visits, tree.node(id).value_sum)
}

/// Four samples: three begin with `a` (two of them equal to the first), one with `b`. Of the three that went on from `a`
/// two say 7, which is right, and one says 8; `b` goes wrong at once.
#[test]
fn best_of_n_counts_its_samples() {
    let (a, b) = (plan(1, "a"), plan(1, "b"));
    let root = FakeState::new(0.1).step(&a, 0.5).step(&b, 0.5).step(&format!(" {a}"), 0.5).step(&a, 0.5);
    let table = FakeTable::new()
        .state("", root)
        .state(&a, FakeState::new(0.9).step(&solution("7"), 0.5).step(&solution("8"), 0.5).step(&solution("7"), 0.5))
        .state(&format!("{a}{}", solution("7")), FakeState::new(0.8))
        .state(&format!("{a}{}", solution("8")), FakeState::new(-0.2))
        .state(&b, FakeState::new(0.9).step("nonsense", 0.5));
    let config = SearchConfig { strategy: Strategy::BestOfN { count: 4 }, ..SearchConfig::default() };
    let tree = tree_of(&config, table);
    let (at_a, at_b) = (child(&tree, NodeId::ROOT, &a), child(&tree, NodeId::ROOT, &b));
    // Rewards 1, 1, -1 below a and -1 below b; no value of a state is backed up.
    assert_eq!([NodeId::ROOT, at_a, at_b].map(|id| statistics(&tree, id)), [(4, 0.0), (3, 1.0), (1, -1.0)]);
    let right = child(&tree, at_a, &solution("7"));
    assert_eq!((statistics(&tree, right), tree.node(right).value_estimate()), ((2, 2.0), Some(0.8)));
    assert_eq!(tree.node(at_a).value_estimate(), None);
    assert_eq!(tree.node(child(&tree, at_b, "nonsense")).ending, Ending::Malformed);
    assert_eq!(check(&tree), []);
}

/// Values: a 0.2, b 0.6, c 0.4; below b: b1 -0.5, b2 0.1; below c: c1 0.5. A beam of two drops a, then b1.
fn planted() -> (FakeTable, [String; 6]) {
    let [a, b, c] = ["a", "b", "c"].map(|name| plan(1, name));
    let [b1, b2, c1] = ["b1", "b2", "c1"].map(|name| plan(2, name));
    let end = |value: f32, answer: &str| FakeState::new(value).step(&solution(answer), 0.5);
    let table = FakeTable::new()
        .state("", FakeState::new(0.25).step(&a, 0.9).step(&b, 0.2).step(&c, 0.3))
        .state(&a, FakeState::new(0.2).step(&plan(2, "never"), 0.5))
        .state(&b, FakeState::new(0.6).step(&b1, 0.9).step(&b2, 0.1))
        .state(&c, FakeState::new(0.4).step(&c1, 0.5))
        .state(&format!("{b}{b1}"), end(-0.5, "7"))
        .state(&format!("{b}{b2}"), end(0.1, "8"))
        .state(&format!("{c}{c1}"), end(0.5, "7"));
    (table, [a, b, c, b1, b2, c1])
}

#[test]
fn a_beam_keeps_the_best_of_each_level() {
    let (table, [a, b, c, b1, b2, c1]) = planted();
    let config = SearchConfig { strategy: Strategy::Beam { width: 2 }, ..SearchConfig::default() };
    let tree = tree_of(&config, table.clone());
    let at = |path: &[&String]| path.iter().fold(NodeId::ROOT, |at, text| child(&tree, at, text));
    let expanded = |path: &[&String]| tree.node(at(path)).is_expanded();
    assert_eq!([expanded(&[&a]), expanded(&[&b]), expanded(&[&c])], [false, true, true]);
    assert_eq!([expanded(&[&b, &b1]), expanded(&[&b, &b2]), expanded(&[&c, &c1])], [false, true, true]);
    // Each state's value is backed up once, when it is made: c 0.4, c1 0.5, and the reward below c1.
    let sum = f64::from(0.4_f32) + f64::from(0.5_f32) + 1.0;
    assert_eq!(statistics(&tree, at(&[&c])), (3, sum));
    assert_eq!(tree.node(at(&[&a])).value_estimate(), Some(0.2));
    // The root's comes with its steps: 0.25 and those of a, b, c, b1, b2, c1, and the rewards -1 and 1.
    assert_eq!(tree.node(NodeId::ROOT).value_estimate(), Some(0.25));
    let (visits, sum) = statistics(&tree, NodeId::ROOT);
    assert!(visits == 9 && (sum - (0.25 + 0.2 + 0.6 + 0.4 - 0.5 + 0.1 + 0.5)).abs() < 1e-6, "{visits} {sum}");
    assert_eq!(check(&tree), []);

    // Without values the likeliest path goes on: a, then nothing that leads anywhere else.
    let blind = SearchConfig { evaluation: Evaluation::Zero, strategy: Strategy::Beam { width: 1 }, ..config };
    let tree = tree_of(&blind, table);
    assert!(tree.node(child(&tree, NodeId::ROOT, &a)).is_expanded());
    assert!(!tree.node(child(&tree, NodeId::ROOT, &b)).is_expanded());
}

#[test]
fn best_first_goes_on_where_the_value_is_highest() {
    let (table, [a, b, c, b1, _, c1]) = planted();
    let stop_when = StopWhen { correct_solutions: Some(1), ..StopWhen::default() };
    let config = SearchConfig { strategy: Strategy::BestFirst, stop_when, ..SearchConfig::default() };
    let tree = tree_of(&config, table.clone());
    // Root, b (0.6), c (0.4), c1 (0.5): solved.
    let at_c = child(&tree, NodeId::ROOT, &c);
    let at_b = child(&tree, NodeId::ROOT, &b);
    assert!(tree.node(child(&tree, at_c, &c1)).is_expanded());
    assert!(tree.node(at_b).is_expanded() && !tree.node(child(&tree, at_b, &b1)).is_expanded());
    assert!(!tree.node(child(&tree, NodeId::ROOT, &a)).is_expanded());
    let limited = SearchConfig { simulations: 2, ..config };
    let tree = tree_of(&limited, table);
    assert_eq!(tree.ids().filter(|&id| tree.node(id).is_expanded()).count(), 2);
}

/// Each token of y has 0.5, of x 0.3, of z 0.2, and of y1, which follows y, 0.5: y and y1 together are 0.25 a token.
#[test]
fn without_values_best_first_takes_the_likeliest_whole_path() {
    let [x, y, z] = ["x", "y", "z"].map(|name| plan(1, name));
    let y1 = plan(2, "y1");
    let table = FakeTable::new()
        .state("", FakeState::new(0.0).step(&z, 0.2).step(&y, 0.5).step(&x, 0.3))
        .state(&x, FakeState::new(0.0).step(&plan(2, "x1"), 0.9))
        .state(&y, FakeState::new(0.0).step(&y1, 0.5));
    let config = SearchConfig {
        strategy: Strategy::BestFirst,
        evaluation: Evaluation::Zero,
        simulations: 3,
        ..SearchConfig::default()
    };
    let tree = tree_of(&config, table);
    let [x, y, z] = [x, y, z].map(|text| child(&tree, NodeId::ROOT, &text));
    let expanded = [x, y, z, child(&tree, y, &y1)].map(|id| tree.node(id).is_expanded());
    assert_eq!(expanded, [true, true, false, false]);
}

/// Below the root a and b, of which a was sampled twice: two walks of three go through it. All three values are backed up.
#[test]
fn a_walk_values_all_steps_and_goes_on_from_any_of_them() {
    let [a, b] = ["a", "b"].map(|name| plan(1, name));
    let end = |value: f32, answer: &str| FakeState::new(value).step(&solution(answer), 0.5);
    let table = FakeTable::new()
        .state("", FakeState::new(0.25).step(&a, 0.9).step(&b, 0.2).step(&format!(" {a}"), 0.3))
        .state(&a, end(-0.75, "7"))
        .state(&b, end(0.5, "8"));
    let config = SearchConfig { strategy: Strategy::Walk { count: 3 }, k: 1, k_root: 1, ..SearchConfig::default() };
    let mut through_a = 0;
    for (_, tree) in searched(&config, 8, 300, &mut FakePolicy::new(table)).unwrap() {
        assert_eq!(check(&tree), []);
        let [at_a, at_b] = [&a, &b].map(|text| child(&tree, NodeId::ROOT, text));
        assert_eq!([at_a, at_b].map(|id| tree.node(id).value_estimate()), [Some(-0.75), Some(0.5)]);
        let is_a = tree.node(at_a).is_expanded();
        assert_ne!(is_a, tree.node(at_b).is_expanded(), "one of the two");
        through_a += u32::from(is_a);
        let expected = if is_a { (4, 0.25 - 0.75 + 0.5 + 1.0) } else { (4, 0.25 - 0.75 + 0.5 - 1.0) };
        assert_eq!(statistics(&tree, NodeId::ROOT), expected);
    }
    // 200 of 300, with a standard deviation of 8.2.
    assert!((170..=230).contains(&through_a), "{through_a}");
}

#[test]
fn every_strategy_is_reproducible_and_sound() {
    let walk = Strategy::Walk { count: 8 };
    for strategy in [Strategy::BestOfN { count: 6 }, Strategy::Beam { width: 3 }, Strategy::BestFirst, walk] {
        for evaluation in [Evaluation::ValueHead, Evaluation::Zero, Evaluation::Rollouts { count: 2 }] {
            let name = evaluation.to_string();
            let config = SearchConfig { strategy, evaluation, simulations: 20, ..SearchConfig::default() };
            let texts = FakeTexts::new(5);
            let trees = |in_flight, policy: &mut FakePolicy| {
                let mut trees = searched(&config, in_flight, 20, policy).expect("the search runs");
                trees.sort_by_key(|(index, _)| *index);
                trees
            };
            let expected = trees(1, &mut FakePolicy::new(texts.clone()));
            let mixed = trees(9, &mut FakePolicy::new(texts).shuffled(3, 5).batched(4));
            assert!(expected == mixed, "{strategy}, {name}");
            for (_, tree) in &expected {
                assert_eq!(check(tree), [], "{strategy}, {name}");
            }
            let solved =
                expected.iter().filter(|(_, tree)| tree.ids().any(|id| tree.node(id).ending == Ending::Correct));
            assert!(solved.count() > 10, "{strategy}, {name}");
        }
    }
}
