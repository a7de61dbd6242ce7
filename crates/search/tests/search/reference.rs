//! The search against a slow second implementation: recursive, one hash map from the path of child positions to a node,
//! written from the algorithm's description.

use super::{PROMPT, info, tree_of};
use espalier_search::fake::{FakeJudge, FakeSource};
use espalier_search::{
    Candidate, Evaluation, Expansion, Finish, FirstPlay, Judge, Place, Prior, SearchConfig, Selection, StepRequest,
    Stops, Unit,
};
use espalier_tree::{Ending, NodeId, Tree, check};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;
use std::collections::HashMap;

/// Random answers that depend on the prefix alone. Few distinct priors and values, so that ties are common.
#[derive(Clone, Debug)]
struct RandomTree {
    seed: u64,
    solution_percent: u64,
    odd_percent: u64,
}

fn hash(parts: &[u64]) -> u64 {
    // FNV-1a, and a last mix of the high bits into the low ones.
    let bytes = parts.iter().flat_map(|part| part.to_le_bytes());
    let fnv = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    fnv ^ (fnv >> 29)
}

impl RandomTree {
    fn candidate(&self, state: u64, steps: usize, index: usize, unit: Unit) -> Candidate {
        let draw = |what: u64| hash(&[self.seed, state, index as u64, what, unit as u64]);
        let answer = if draw(1).is_multiple_of(2) { "7" } else { "8" };
        let number = steps + 1;
        let mut finish = Finish::Stop;
        let text = if draw(2) % 100 < self.odd_percent {
            match draw(3) % 4 {
                0 => format!("malformed {}</step>", draw(4) % 3),
                1 => {
                    finish = Finish::Length;
                    format!("<step>Plan {number}: without an end {}", draw(4) % 3)
                }
                2 => " </plan><solution>no answer</solution>".to_owned(),
                // Often the same text as a sibling's, with other white space.
                _ => format!("{}<step>Plan {number}: twin</step>{}", " ".repeat(index % 2), "\n".repeat(index % 3)),
            }
        } else if unit == Unit::Path || draw(2) % 100 < self.odd_percent + self.solution_percent {
            format!("</plan><solution>{} \\boxed{{{answer}}}</solution>", draw(5) % 4)
        } else {
            format!("<step>Plan {number}: {}</step>", draw(5) % 1000)
        };
        let token_ids: Vec<u32> = text.bytes().map(u32::from).collect();
        let logprob = [-0.1_f32, -0.5, -0.5, -2.0][(draw(6) % 4) as usize];
        let logprobs = vec![logprob; token_ids.len()];
        Candidate { text, token_ids, logprobs, finish }
    }
}

impl FakeSource for RandomTree {
    fn answer(&self, request: &StepRequest<'_>) -> Expansion {
        let state = hash(&request.prefix_ids.iter().map(|&id| u64::from(id)).collect::<Vec<_>>());
        let steps = request.step_ends.len() - 1;
        // Sometimes the context is full.
        let k = if steps > 0 && state % 100 < self.odd_percent / 4 { 0 } else { request.k };
        let candidates: Vec<_> = (0..k).map(|index| self.candidate(state, steps, index, request.unit)).collect();
        let value = [-0.5_f32, 0.0, 0.0, 0.3, 1.0][(state % 5) as usize];
        let value = (request.want_value && k > 0).then_some(value);
        Expansion { ticket: request.ticket, value, candidates }
    }
}

/// Positions of the children from the root down.
type Path = Vec<usize>;

/// The fake judge looks at the problem alone.
fn anywhere(tree: &Tree) -> Place<'_> {
    Place { tree, state: NodeId::ROOT }
}

#[derive(Clone, Debug)]
struct ReferenceNode {
    text: String,
    visits: u32,
    value_sum: f64,
    prior: f32,
    ending: Ending,
    children: usize,
    estimate: Option<f32>,
}

struct Reference<'a> {
    config: &'a SearchConfig,
    source: &'a RandomTree,
    nodes: HashMap<Path, ReferenceNode>,
    generator: ChaCha8Rng,
    /// Selections that were decided by the generator.
    draws: usize,
}

impl Reference<'_> {
    fn run<'a>(config: &'a SearchConfig, source: &'a RandomTree) -> Reference<'a> {
        let root = ReferenceNode {
            text: PROMPT.into(),
            visits: 0,
            value_sum: 0.0,
            prior: 1.0,
            ending: Ending::None,
            children: 0,
            estimate: None,
        };
        let nodes = HashMap::from([(Path::new(), root)]);
        let mut reference = Reference { config, source, nodes, generator: ChaCha8Rng::seed_from_u64(0), draws: 0 };
        for _ in 0..config.simulations {
            if reference.nodes[&Path::new()].ending == Ending::Exhausted {
                break;
            }
            reference.simulate(&Path::new());
        }
        reference
    }

    fn simulate(&mut self, at: &Path) {
        if self.nodes[at].children == 0 {
            return self.evaluate_and_expand(at);
        }
        let parent_visits = self.nodes[at].visits;
        let first_play = match self.config.first_play {
            FirstPlay::Value(value) => value,
            FirstPlay::BelowParent(reduction) => self.nodes[at].value_sum / f64::from(parent_visits) - reduction,
        };
        let scores: Vec<(f64, Path)> = self
            .children(at)
            .into_iter()
            .filter(|path| self.nodes[path].ending == Ending::None)
            .map(|path| {
                let node = &self.nodes[&path];
                let q = if node.visits == 0 { first_play } else { node.value_sum / f64::from(node.visits) };
                let u = match self.config.selection {
                    Selection::Puct => {
                        self.config.c_puct * f64::from(node.prior) * f64::from(parent_visits).sqrt()
                            / (1.0 + f64::from(node.visits))
                    }
                    Selection::Uct if node.visits == 0 => f64::INFINITY,
                    Selection::Uct => {
                        self.config.c_uct * f64::from(parent_visits).ln().sqrt() / f64::from(node.visits).sqrt()
                    }
                };
                (q + u, path)
            })
            .collect();
        if scores.is_empty() {
            self.nodes.get_mut(at).expect("known").ending = Ending::Exhausted;
            return;
        }
        let best = scores.iter().map(|(score, _)| *score).fold(f64::NEG_INFINITY, f64::max);
        let ties: Vec<Path> = scores.into_iter().filter(|(score, _)| *score >= best).map(|(_, path)| path).collect();
        let chosen = match ties.len() {
            1 => 0,
            many => {
                self.draws += 1;
                ((u64::from(self.generator.next_u32()) * many as u64) >> 32) as usize
            }
        };
        self.simulate(&ties[chosen]);
    }

    fn evaluate_and_expand(&mut self, at: &Path) {
        let answer = self.ask(at, Unit::Step, if at.is_empty() { self.config.k_root } else { self.config.k });
        let tree = Tree::new(info(0), "", &[]);
        let value = match self.config.evaluation {
            Evaluation::Zero | Evaluation::Outside(_) => 0.0,
            Evaluation::ValueHead => {
                self.nodes.get_mut(at).expect("known").estimate = answer.value;
                answer.value.map_or(-1.0, f64::from)
            }
            Evaluation::Rollouts { count } => {
                let rollouts = self.ask(at, Unit::Path, count).candidates;
                let is_right = |c: &&Candidate| {
                    c.finish == Finish::Stop && FakeJudge.judge_path(anywhere(&tree), &c.text).ending == Ending::Correct
                };
                let right = rollouts.iter().filter(is_right).count() as f64;
                let all = rollouts.len() as f64;
                if rollouts.is_empty() { -1.0 } else { (right - (all - right)) / all }
            }
        };
        self.back_up(at.clone(), value);

        let mut seen = Vec::new();
        let mut merged = Vec::new();
        for candidate in answer.candidates {
            if !seen.contains(&candidate.text.trim().to_owned()) {
                seen.push(candidate.text.trim().to_owned());
                merged.push(candidate);
            }
        }
        let mean = |c: &Candidate| c.logprobs.iter().map(|&l| f64::from(l)).sum::<f64>() / c.logprobs.len() as f64;
        let probabilities: Vec<f64> = merged.iter().map(|c| f64::from(mean(c).exp() as f32)).collect();
        let total: f64 = probabilities.iter().sum();
        let depth = at.len() + 1;
        for (index, (candidate, probability)) in merged.iter().zip(probabilities).enumerate() {
            let judged = FakeJudge.judge(anywhere(&tree), &candidate.text).ending;
            let ending = if candidate.finish == Finish::Length {
                Ending::Length
            } else if judged == Ending::None && depth > usize::from(self.config.max_depth) {
                Ending::TooDeep
            } else {
                judged
            };
            let prior = match self.config.prior {
                Prior::MeanProbability => probability as f32,
                Prior::Softmax => (probability / total) as f32,
            };
            let text = candidate.text.clone();
            let child = ReferenceNode { text, visits: 0, value_sum: 0.0, prior, ending, children: 0, estimate: None };
            let path: Path = at.iter().copied().chain([index]).collect();
            self.nodes.insert(path, child);
            self.nodes.get_mut(at).expect("known").children += 1;
        }
        if merged.is_empty() {
            self.nodes.get_mut(at).expect("known").ending = Ending::Exhausted;
        }
        for path in self.children(at) {
            match self.nodes[&path].ending {
                Ending::None => (),
                Ending::Correct => self.back_up(path, 1.0),
                _ => self.back_up(path, -1.0),
            }
        }
    }

    fn ask(&self, at: &Path, unit: Unit, k: usize) -> Expansion {
        let states: Vec<&str> = (0..=at.len()).map(|len| self.nodes[&at[..len]].text.as_str()).collect();
        let ends = (1..=states.len()).map(|count| states[..count].concat().len() as u32);
        self.source.answer(&StepRequest {
            ticket: 0,
            tree: 0,
            step_ends: ends.collect::<Vec<_>>().into(),
            prefix_ids: states.concat().bytes().map(u32::from).collect::<Vec<_>>().into(),
            k,
            max_tokens: 1500,
            unit,
            stops: Cow::Owned(Stops::default()),
            temperature: 0.7,
            seed: 0,
            want_value: self.config.evaluation == Evaluation::ValueHead,
        })
    }

    fn children(&self, at: &Path) -> Vec<Path> {
        (0..self.nodes[at].children).map(|index| at.iter().copied().chain([index]).collect()).collect()
    }

    fn back_up(&mut self, mut at: Path, value: f64) {
        loop {
            let node = self.nodes.get_mut(&at).expect("known");
            node.visits += 1;
            node.value_sum += value;
            if at.pop().is_none() {
                return;
            }
        }
    }
}

fn assert_same(tree: &Tree, reference: &HashMap<Path, ReferenceNode>) {
    let mut paths = HashMap::from([(NodeId::ROOT, Path::new())]);
    for id in tree.ids() {
        let path = paths[&id].clone();
        let (node, expected) = (tree.node(id), &reference[&path]);
        assert_eq!(tree.text(id), expected.text, "{path:?}");
        assert_eq!(node.visits, expected.visits, "visits of {path:?}");
        assert_eq!(node.value_sum.to_bits(), expected.value_sum.to_bits(), "value sum of {path:?}");
        assert_eq!(node.prior.to_bits(), expected.prior.to_bits(), "prior of {path:?}");
        assert_eq!(node.ending, expected.ending, "ending of {path:?}");
        assert_eq!(node.value_estimate(), expected.estimate, "value estimate of {path:?}");
        assert_eq!(node.reward().is_some(), node.ending.has_reward(), "reward of {path:?}");
        assert_eq!(usize::from(node.depth), path.len());
        for (index, at) in node.children().enumerate() {
            paths.insert(at, path.iter().copied().chain([index]).collect());
        }
    }
    assert_eq!(tree.len(), reference.len());
}

fn configs() -> impl Strategy<Value = SearchConfig> {
    let evaluation = prop_oneof![
        3 => Just(Evaluation::ValueHead),
        1 => Just(Evaluation::Zero),
        1 => (1_usize..5).prop_map(|count| Evaluation::Rollouts { count }),
    ];
    let prior = prop_oneof![3 => Just(Prior::MeanProbability), 1 => Just(Prior::Softmax)];
    let selection = prop_oneof![2 => Just(Selection::Puct), 1 => Just(Selection::Uct)];
    let first_play = prop_oneof![
        2 => Just(FirstPlay::Value(0.0)),
        1 => (-1.0..1.0).prop_map(FirstPlay::Value),
        1 => (0.0..1.0).prop_map(FirstPlay::BelowParent),
    ];
    let rule = (selection, first_play, 0.0..3.0);
    (1_u32..120, prop_oneof![Just(1.5), Just(0.0), 0.0..4.0], 1_usize..5, 1_usize..7, 1_u16..5, prior, evaluation, rule)
        .prop_map(|(simulations, c_puct, k, k_root, max_depth, prior, evaluation, rule)| SearchConfig {
            selection: rule.0,
            first_play: rule.1,
            c_uct: rule.2,
            simulations,
            c_puct,
            k,
            k_root,
            max_depth,
            prior,
            evaluation,
            ..SearchConfig::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_search_equals_the_reference(
        config in configs(),
        seed in any::<u64>(),
        solution_percent in 0_u64..70,
        odd_percent in 0_u64..30,
    ) {
        let source = RandomTree { seed, solution_percent, odd_percent };
        let expected = Reference::run(&config, &source);
        let tree = tree_of(&config, source.clone());
        assert_same(&tree, &expected.nodes);
        prop_assert_eq!(check(&tree), []);
    }
}

/// The random trees reach what they are meant to test.
#[test]
fn random_trees_have_all_endings_and_ties() {
    let mut seen = std::collections::HashSet::new();
    let (mut exhausted, mut draws) = (0, 0);
    for seed in 0..60 {
        let source = RandomTree { seed, solution_percent: 25, odd_percent: 12 };
        let config = SearchConfig { simulations: 40, max_depth: 3, ..SearchConfig::default() };
        let reference = Reference::run(&config, &source);
        seen.extend(reference.nodes.values().map(|node| node.ending));
        exhausted += usize::from(reference.nodes[&Path::new()].ending == Ending::Exhausted);
        draws += reference.draws;
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!((10..50).contains(&exhausted), "{exhausted} of 60 trees are searched to their end");
    assert!(draws > 100, "{draws}");
}
