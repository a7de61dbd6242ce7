//! Trees whose every number was worked out by hand.

use super::{child, endings, plan, solution, tree_of};
use espalier_search::fake::{FakeState, FakeTable};
use espalier_search::{Evaluation, SearchConfig, StopWhen};
use espalier_tree::{Ending, NodeId};

/// c = 1.5; values 1/4 at the root, -1/2 after B, 1/2 after A.
///
/// 1. The root: N = 1, W = 1/4. Children A (P = 0.5) and B (P = 0.8).
/// 2. U(A) = 1.5 * 0.5 * 1 / 1 = 0.75, U(B) = 1.2: B. V = -1/2: B 1, -1/2; root 2, -1/4. Children: a wrong solution, which
///    makes B 2, -3/2 and the root 3, -5/4; and one more step.
/// 3. sqrt(3) = 1.732: A has 0.75 * 1.732 = 1.299; B has -3/4 + 1.2 * 1.732 / 3 = -0.057: A. V = 1/2: A 1, 1/2; root 4,
///    -3/4. Children: a correct solution, which makes A 2, 3/2 and the root 5, 1/4; and one more step.
#[test]
fn three_simulations() {
    let (a, b) = (plan(1, "a"), plan(1, "b"));
    let table = FakeTable::new()
        .state("", FakeState::new(0.25).step(&a, 0.5).step(&b, 0.8))
        .state(&b, FakeState::new(-0.5).step(&solution("8"), 0.9).step(&plan(2, "b"), 0.9))
        .state(&a, FakeState::new(0.5).step(&solution("7"), 0.9).step(&plan(2, "a"), 0.9));
    let config = SearchConfig { simulations: 3, ..SearchConfig::default() };
    let tree = tree_of(&config, table);

    let statistics = |id: NodeId| (tree.node(id).visits, tree.node(id).value_sum);
    let (at_a, at_b) = (child(&tree, NodeId::ROOT, &a), child(&tree, NodeId::ROOT, &b));
    assert_eq!(statistics(NodeId::ROOT), (5, 0.25));
    assert_eq!(statistics(at_a), (2, 1.5));
    assert_eq!(statistics(at_b), (2, -1.5));
    assert_eq!(statistics(child(&tree, at_a, &solution("7"))), (1, 1.0));
    assert_eq!(statistics(child(&tree, at_b, &solution("8"))), (1, -1.0));
    assert_eq!(statistics(child(&tree, at_a, &plan(2, "a"))), (0, 0.0));
    assert_eq!(tree.len(), 7);

    // V(root) = (3/2 - 3/2) / 4; A = Q - V.
    assert_eq!(tree.state_value(NodeId::ROOT), Some(0.0));
    assert_eq!(tree.advantage(at_a), Some(0.75));
    assert_eq!(tree.advantage(at_b), Some(-0.75));
    assert_eq!(tree.node(at_a).value_estimate(), Some(0.5));
    assert_eq!(tree.node(child(&tree, at_a, &plan(2, "a"))).value_estimate(), None);
    assert_eq!(tree.node(child(&tree, at_a, &solution("7"))).reward(), Some(1.0));
    assert_eq!(tree.answer(child(&tree, at_b, &solution("8"))), Some("8"));
    assert!((tree.node(at_b).prior - 0.8).abs() < 1e-6);
}

/// Two steps at each of three levels, then a right and a wrong solution after "good" three times, else two wrong ones.
fn binary_table() -> FakeTable {
    let mut table = FakeTable::new();
    let mut states = vec![String::new()];
    for depth in 1..=3 {
        let mut next = Vec::new();
        for state in states {
            let steps = ["good", "bad"].map(|word| plan(depth, word));
            next.extend(steps.iter().map(|step| format!("{state}{step}")));
            table = table.state(&state, FakeState::new(0.0).step(&steps[0], 0.3).step(&steps[1], 0.7));
        }
        states = next;
    }
    for state in states {
        let answer = if state.contains("bad") { "9" } else { "7" };
        table = table.state(&state, FakeState::new(0.0).step(&solution("8"), 0.5).step(&solution(answer), 0.5));
    }
    table
}

/// A tree that is searched to its end has the same statistics in whatever order it was searched: each inner node was
/// evaluated once, each solution was rewarded once.
#[test]
fn an_exhausted_tree_is_known_exactly() {
    let config = SearchConfig { evaluation: Evaluation::Zero, ..SearchConfig::default() };
    let tree = tree_of(&config, binary_table());
    assert_eq!(tree.len(), 15 + 16);
    let root = tree.node(NodeId::ROOT);
    // 15 inner nodes and 16 solutions of which one is right.
    assert_eq!((root.visits, root.value_sum), (31, -14.0));
    let good = child(&tree, NodeId::ROOT, &plan(1, "good"));
    let bad = child(&tree, NodeId::ROOT, &plan(1, "bad"));
    assert_eq!((tree.node(good).visits, tree.node(good).value_sum), (15, -6.0));
    assert_eq!((tree.node(bad).visits, tree.node(bad).value_sum), (15, -8.0));
    assert!(tree.advantage(good) > Some(0.0) && tree.advantage(bad) < Some(0.0));
    let exhausted = endings(&tree).into_iter().filter(|&ending| ending == Ending::Exhausted).count();
    assert_eq!(exhausted, 15, "all inner nodes");
}

/// With values that tell good from bad the visits go where the right answer is, although the priors point elsewhere.
#[test]
fn visits_concentrate_on_the_best_path() {
    let mut table = FakeTable::new();
    let mut states = vec![String::new()];
    for depth in 1..=6 {
        let mut next = Vec::new();
        for state in states {
            let steps = ["good", "bad"].map(|word| plan(depth, word));
            let value = if state.contains("bad") { -0.9 } else { 0.9 };
            let here = FakeState::new(value).step(&steps[0], 0.4).step(&steps[1], 0.5);
            next.extend(steps.iter().map(|step| format!("{state}{step}")));
            table = table.state(&state, here);
        }
        states = next;
    }
    for state in states {
        let answer = if state.contains("bad") { "9" } else { "7" };
        table = table.state(&state, FakeState::new(0.0).step(&solution(answer), 0.5));
    }
    // Until the right answer is found, with the values and without.
    let stop_when = StopWhen { correct_solutions: Some(1), ..StopWhen::default() };
    let tree = |evaluation| tree_of(&SearchConfig { evaluation, stop_when, ..SearchConfig::default() }, table.clone());
    let (guided, blind) = (tree(Evaluation::ValueHead), tree(Evaluation::Zero));
    assert!(guided.len() * 2 < blind.len(), "{} and {} nodes", guided.len(), blind.len());

    let found = guided.ids().find(|&id| guided.node(id).ending == Ending::Correct).expect("it is there");
    for &id in &guided.path(found)[1..] {
        assert!(guided.advantage(id) >= Some(0.0), "{}", guided.text(id));
    }
    let good = child(&guided, NodeId::ROOT, &plan(1, "good"));
    let bad = child(&guided, NodeId::ROOT, &plan(1, "bad"));
    assert!(guided.node(good).visits > 2 * guided.node(bad).visits);
}
