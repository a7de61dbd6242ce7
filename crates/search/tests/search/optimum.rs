//! Trees whose optimum is known: every rule of selection must find it.

use super::{child, plan, solution, tree_of};
use espalier_search::fake::{FakeSource, FakeState, FakeTable};
use espalier_search::{
    Candidate, Evaluation, Expansion, Finish, FirstPlay, SearchConfig, Selection, StepRequest, StopWhen,
};
use espalier_tree::{Ending, NodeId, Tree};

/// Every way of selection.
fn rules() -> Vec<(&'static str, SearchConfig)> {
    let base = SearchConfig { max_depth: 1000, simulations: 300, ..SearchConfig::default() };
    vec![
        ("puct", base.clone()),
        ("uct", SearchConfig { selection: Selection::Uct, c_uct: 0.5, ..base.clone() }),
        ("first play below the parent", SearchConfig { first_play: FirstPlay::BelowParent(0.2), ..base.clone() }),
        ("gumbel", SearchConfig { gumbel_root: Some(5), ..base.clone() }),
        ("four leaves at a time", SearchConfig { leaves_per_tree: 4, ..base.clone() }),
        ("four leaves, as they come", SearchConfig { leaves_per_tree: 4, reproducible: false, ..base.clone() }),
    ]
}

/// Five arms: below arm i all states are worth `means[i]`, give or take 0.3, and go on for ever.
struct Bandit {
    means: [f32; 5],
    probabilities: [f64; 5],
}

impl FakeSource for Bandit {
    fn answer(&self, request: &StepRequest<'_>) -> Expansion {
        let text: String = request.prefix_ids.iter().filter_map(|&id| char::from_u32(id)).collect();
        let arm = text.split_once("Plan 1: arm ").and_then(|(_, rest)| rest[..1].parse::<usize>().ok());
        let noise = ((request.seed >> 40) as f32 / (1_u64 << 24) as f32 - 0.5) * 0.6;
        let value = arm.map_or(0.0, |arm| self.means[arm] + noise);
        let candidate = |index: usize| {
            let (name, probability) = match arm {
                None => (format!("arm {index}"), self.probabilities[index]),
                Some(_) => (format!("way {index}"), 0.5),
            };
            let text = plan(request.step_ends.len(), &name);
            let token_ids: Vec<u32> = text.bytes().map(u32::from).collect();
            let logprobs = vec![probability.ln() as f32; token_ids.len()];
            Candidate { text, token_ids, logprobs, finish: Finish::Stop }
        };
        let candidates = (0..request.k).map(candidate).collect();
        Expansion { ticket: request.ticket, value: Some(value), candidates }
    }
}

/// More than half of all visits; sequential halving ends with two arms that share the last round.
fn is_preferred(arm: usize, visits: &[u32], config: &SearchConfig) -> bool {
    let all: u32 = visits.iter().sum();
    match config.gumbel_root {
        None => visits[arm] > all / 2,
        Some(_) => visits[arm] > all * 2 / 5 && visits.iter().all(|&others| others <= visits[arm]),
    }
}

fn arm_visits(tree: &Tree) -> Vec<u32> {
    tree.node(NodeId::ROOT).children().map(|id| tree.node(id).visits).collect()
}

#[test]
fn the_best_arm_of_a_bandit_gets_most_visits() {
    for (name, config) in rules() {
        let bandit = Bandit { means: [-0.2, 0.1, 0.6, 0.0, -0.6], probabilities: [0.5; 5] };
        let visits = arm_visits(&tree_of(&config, bandit));
        assert_eq!(visits.iter().sum::<u32>(), 299, "{name}: {visits:?}");
        assert!(is_preferred(2, &visits, &config), "{name}: {visits:?}");
    }
}

/// The policy is nearly sure of the worst arm, and hardly knows the best one.
#[test]
fn a_trap_prior_is_overcome() {
    for (name, config) in rules() {
        let bandit = Bandit { means: [-0.6, -0.5, 0.6, -0.5, -0.6], probabilities: [0.9, 0.3, 0.15, 0.3, 0.3] };
        let visits = arm_visits(&tree_of(&config, bandit));
        assert!(is_preferred(2, &visits, &config), "{name}: {visits:?}");
    }
}

/// Three levels of three steps with planted values; below the third, one right solution of 27. The value of a state grows by
/// 0.6 with each right step, so that greed finds it; the priors prefer the others.
fn planted() -> FakeTable {
    let mut table = FakeTable::new();
    let mut states = vec![(String::new(), 0)];
    for (depth, right) in [1, 2, 0].into_iter().enumerate() {
        let mut next = Vec::new();
        for (state, so_far) in states {
            let mut here = FakeState::new(0.6 * so_far as f32 - 0.9);
            for step in 0..3 {
                let text = plan(depth + 1, &format!("step {step}"));
                let is_right = step == right && so_far == depth;
                here = here.step(&text, if is_right { 0.3 } else { 0.5 });
                next.push((format!("{state}{text}"), so_far + usize::from(is_right)));
            }
            table = table.state(&state, here);
        }
        states = next;
    }
    for (state, so_far) in states {
        let answer = if so_far == 3 { "7" } else { "8" };
        table = table.state(&state, FakeState::new(0.6 * so_far as f32 - 0.9).step(&solution(answer), 0.5));
    }
    table
}

#[test]
fn the_planted_path_is_found_and_is_the_best() {
    for (name, rule) in rules() {
        let stop_when = StopWhen { correct_solutions: Some(1), ..StopWhen::default() };
        let config = SearchConfig { max_depth: 3, c_puct: 0.3, ..rule };
        let guided = tree_of(&SearchConfig { stop_when, ..config }, planted()).len();
        // All is 67 nodes: 13 inner states, 27 before the solutions, as many solutions. (Sequential halving spends its first
        // rounds on all steps alike, however early the answer is there.)
        assert!(guided < 45 || config.gumbel_root.is_some(), "{name}: {guided} nodes");
        // Searched to its end, the tree says the same whatever the rule: the right path has the best Q at each level.
        let evaluation = Evaluation::Zero;
        let tree = tree_of(&SearchConfig { evaluation, simulations: 1000, ..config }, planted());
        assert_eq!((tree.len(), tree.node(NodeId::ROOT).ending), (1 + 3 + 9 + 27 + 27, Ending::Exhausted), "{name}");
        let mut at = NodeId::ROOT;
        for (depth, step) in [1, 2, 0].into_iter().enumerate() {
            let q = |id: NodeId| tree.node(id).q();
            let best = tree.node(at).children().max_by(|&a, &b| q(a).total_cmp(&q(b))).expect("three steps");
            assert_eq!(best, child(&tree, at, &plan(depth + 1, &format!("step {step}"))), "{name}");
            at = best;
        }
    }
}
