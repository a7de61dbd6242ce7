//! Trees for tests: one as a search would grow it, and arbitrary ones with every value a column can hold.

use crate::arena::{Ending, Kind, NewNode, NodeId, Tree, TreeInfo};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Where a test's tree comes from.
pub fn info(problem_id: &str) -> TreeInfo {
    TreeInfo {
        run_id: "run".into(),
        round: 1,
        problem_id: problem_id.into(),
        question: format!("What is {problem_id}?"),
        reference_answer: "7".into(),
        tree_seed: 11,
    }
}

/// A step whose text is `text` and whose only token is `token`.
pub fn step(kind: Kind, text: &str, token: u32) -> NewNode {
    NewNode {
        kind,
        text: text.into(),
        token_ids: vec![token],
        logprobs: vec![-0.5],
        prior: 0.6,
        ending: Ending::None,
        reward: None,
        answer: None,
    }
}

/// A solution with this reward, +1 or -1.
pub fn solution(text: &str, token: u32, reward: f32) -> NewNode {
    let ending = if reward > 0.0 { Ending::Correct } else { Ending::Wrong };
    NewNode {
        ending,
        reward: Some(reward),
        answer: Some(if reward > 0.0 { "7" } else { "8" }.into()),
        ..step(Kind::Solution, text, token)
    }
}

/// Grows a tree by random simulations as a search does: pick an open leaf, back its value up, expand it, judge.
pub fn grown(seed: u64, simulations: usize) -> Tree {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut info = info(&format!("p{seed}"));
    info.tree_seed = random.random();
    let mut tree = Tree::new(info, "<question>Q</question><plan>", &[1, 2, 3]);
    for _ in 0..simulations {
        let open: Vec<NodeId> =
            tree.ids().filter(|&id| !tree.node(id).is_expanded() && !tree.node(id).ending.is_terminal()).collect();
        let Some(&leaf) = open.get(random.random_range(0..open.len().max(1))) else { break };
        let value = random.random_range(-1.0..=1.0_f32);
        tree.set_value_estimate(leaf, value);
        tree.back_up(leaf, f64::from(value));
        let steps: Vec<NewNode> = (0..random.random_range(1..=5)).map(|k| random_step(&mut random, k)).collect();
        let children = tree.expand(leaf, &steps);
        for (child, step) in children.zip(&steps) {
            if let Some(reward) = step.reward {
                tree.back_up(NodeId(child), f64::from(reward));
            }
        }
    }
    tree
}

fn random_step(random: &mut ChaCha8Rng, k: usize) -> NewNode {
    let token_ids: Vec<u32> = (0..random.random_range(1..=12)).map(|_| random.random_range(0..500)).collect();
    let logprobs: Vec<f32> = token_ids.iter().map(|_| -random.random_range(0.0..3.0_f32)).collect();
    let mean = logprobs.iter().sum::<f32>() / logprobs.len() as f32;
    let drawn = match random.random_range(0..10) {
        0..=5 => step(Kind::Plan, &format!("<step>Plan {k}: {token_ids:?}</step>"), 0),
        6..=7 => solution(&format!("</plan><solution>{token_ids:?}</solution>"), 0, 1.0),
        8 => solution(&format!("</plan><solution>{k} {token_ids:?}</solution>"), 0, -1.0),
        _ => NewNode { ending: Ending::Malformed, reward: Some(-1.0), ..step(Kind::Plan, "?", 0) },
    };
    NewNode { token_ids, logprobs, prior: mean.exp(), ..drawn }
}

/// Any tree that the arena can hold, whether or not a search could make it.
pub fn any_tree() -> impl Strategy<Value = Tree> {
    let info = (text(), any::<u32>(), text(), text(), text(), any::<u64>()).prop_map(
        |(run_id, round, problem_id, question, reference_answer, tree_seed)| TreeInfo {
            run_id,
            round,
            problem_id,
            question,
            reference_answer,
            tree_seed,
        },
    );
    let families = vec((any::<prop::sample::Index>(), vec((any_step(), statistics()), 0..5)), 0..6);
    (info, text(), vec(any::<u32>(), 0..6), statistics(), families).prop_map(|(info, prompt, ids, root, families)| {
        let mut tree = Tree::new(info, &prompt, &ids);
        root.set(&mut tree, NodeId::ROOT);
        for (parent, steps) in families {
            // Expanded in any order, as a search does, but each node once.
            let leaves: Vec<NodeId> = tree.ids().filter(|&id| !tree.node(id).is_expanded()).collect();
            let (steps, statistics): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
            let children = tree.expand(leaves[parent.index(leaves.len())], &steps);
            for (child, statistics) in children.zip(statistics) {
                statistics.set(&mut tree, NodeId(child));
            }
        }
        tree
    })
}

#[derive(Clone, Debug)]
struct Statistics {
    visits: u32,
    value_sum: f64,
    value_estimate: Option<f32>,
    ending: Ending,
}

impl Statistics {
    fn set(&self, tree: &mut Tree, id: NodeId) {
        tree.set_statistics(id, self.visits, self.value_sum);
        tree.set_ending(id, self.ending);
        if let Some(value) = self.value_estimate {
            tree.set_value_estimate(id, value);
        }
    }
}

fn statistics() -> impl Strategy<Value = Statistics> {
    let visits = prop_oneof![Just(0), any::<u32>()];
    (visits, prop::num::f64::ANY, option::of(number()), ending()).prop_map(
        |(visits, value_sum, value_estimate, ending)| Statistics { visits, value_sum, value_estimate, ending },
    )
}

fn any_step() -> impl Strategy<Value = NewNode> {
    let kind = prop::sample::select(Kind::STEPS.to_vec());
    let tokens = vec((any::<u32>(), prop::num::f32::ANY), 0..6);
    (kind, text(), tokens, prop::num::f32::ANY, ending(), option::of(number()), option::of(text())).prop_map(
        |(kind, text, tokens, prior, ending, reward, answer)| {
            let (token_ids, logprobs) = tokens.into_iter().unzip();
            NewNode { kind, text, token_ids, logprobs, prior, ending, reward, answer }
        },
    )
}

/// A number that can be there or not; NaN stands for one that is not.
fn number() -> impl Strategy<Value = f32> {
    prop::num::f32::ANY.prop_filter("not NaN", |x| !x.is_nan())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{0,12}", "[a-z</>\n\r\t\"\\\\]{0,12}"]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop::sample::select(vec![
        Ending::None,
        Ending::Correct,
        Ending::Wrong,
        Ending::Malformed,
        Ending::TooDeep,
        Ending::Length,
        Ending::Exhausted,
        Ending::Unverified,
    ])
}
