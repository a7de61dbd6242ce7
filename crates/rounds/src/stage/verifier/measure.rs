//! A verifier and the policy's own value head on the same siblings of stored trees.

use super::ablation::Ablation;
use anyhow::{Context as _, Result};
use espalier_eval::{Estimate, JudgedState, JudgedStates, Measured};
use espalier_policy::{StateValue, ValuedPath, Verifier};
use espalier_tokenizer::Tokenizer;
use espalier_tree::{NodeId, PairRule, PairRules, Siblings, Tree, TreeError, rewards_to_go, siblings};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Trees whose states are valued together.
const TREES: usize = 16;

/// What was measured on some trees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Their problems.
    pub problems: usize,
    /// States after visited steps.
    pub states: usize,
    /// States that are longer than a model's context; they are not among the others.
    pub too_long: usize,
    /// The verifier's values.
    pub verifier: Measured,
    /// The mean over the states of the standard deviation over its heads, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// The values of the policy's own head, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_head: Option<Measured>,
    /// By how much the share of pairs that the verifier ranks right is above the value head's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<Estimate>,
    /// The verifier's values of states without a part of their steps, by what was taken away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ablations: BTreeMap<String, Measured>,
}

/// Who is measured.
pub(super) struct Subjects {
    /// The verifier.
    pub verifier: Verifier,
    /// The policy with its own head.
    pub value_head: Option<Verifier>,
    /// The tokenizer of both.
    pub tokenizer: Tokenizer,
}

/// The values of states, one each.
#[derive(Default)]
struct Values {
    verifier: Vec<f64>,
    deviations: f64,
    value_head: Vec<f64>,
    ablated: BTreeMap<&'static str, Vec<f64>>,
}

impl Subjects {
    /// Measures on all siblings of `trees` that the search found one better than the other.
    pub fn measure(
        &mut self,
        trees: impl Iterator<Item = Result<Tree, TreeError>>,
        ablations: &[Ablation],
        seed: u64,
    ) -> Result<Section> {
        let mut section = Section::default();
        let (mut judged, mut values) = (JudgedStates::default(), Values::default());
        let mut numbers = HashMap::new();
        let mut trees = trees.peekable();
        while trees.peek().is_some() {
            let trees = trees.by_ref().take(TREES).collect::<Result<Vec<Tree>, _>>()?;
            let mut states: Vec<(usize, NodeId)> = Vec::new();
            for (at, tree) in trees.iter().enumerate() {
                let next = numbers.len();
                let problem = *numbers.entry(tree.info.problem_id.clone()).or_insert(next);
                let context = self.context();
                section.too_long += judge(tree, problem, context, &mut judged, |node| states.push((at, node)));
            }
            self.value(&trees, &states, ablations, &mut values)?;
        }
        section.problems = numbers.len();
        section.states = judged.states.len();
        section.verifier = judged.measure(&values.verifier, seed);
        if self.verifier.heads() > 1 {
            section.deviation = Some(values.deviations / section.states.max(1) as f64);
        }
        if self.value_head.is_some() {
            section.value_head = Some(judged.measure(&values.value_head, seed));
            section.gain = Some(judged.gain(&values.value_head, &values.verifier, seed));
        }
        let ablated = values.ablated.into_iter();
        section.ablations = ablated.map(|(name, values)| (name.to_owned(), judged.measure(&values, seed))).collect();
        Ok(section)
    }

    /// Longest state that all can read.
    fn context(&self) -> usize {
        let own = self.verifier.context();
        self.value_head.as_ref().map_or(own, |head| own.min(head.context()))
    }

    /// Adds the values of the states `states`: tree and node.
    fn value(
        &mut self,
        trees: &[Tree],
        states: &[(usize, NodeId)],
        ablations: &[Ablation],
        to: &mut Values,
    ) -> Result<()> {
        let whole: Vec<Vec<(Vec<u32>, Vec<u32>)>> = trees.iter().map(as_sampled).collect();
        let said =
            last_values(&mut self.verifier, &chosen(&whole, states)).context("the verifier cannot read a tree")?;
        to.verifier.extend(said.iter().map(|value| value.mean));
        to.deviations += said.iter().map(|value| value.deviation).sum::<f64>();
        if let Some(head) = &mut self.value_head {
            let said = last_values(head, &chosen(&whole, states)).context("the policy cannot read a tree")?;
            to.value_head.extend(said.iter().map(|value| value.mean));
        }
        for ablation in ablations {
            let changed = trees.iter().map(|tree| ablation.states(tree, &self.tokenizer));
            let mut changed = changed.collect::<Result<Vec<_>>>()?;
            // Another spelling may take more tokens; what does not fit is cut.
            let context = self.verifier.context();
            changed.iter_mut().flatten().for_each(|(ids, ends)| {
                ids.truncate(context);
                ends.retain(|&end| end as usize <= context);
            });
            let said = last_values(&mut self.verifier, &chosen(&changed, states))?;
            to.ablated.entry(ablation.name()).or_default().extend(said.iter().map(|value| value.mean));
        }
        Ok(())
    }
}

/// The states of these trees' nodes.
fn chosen<'a>(of_trees: &'a [Vec<(Vec<u32>, Vec<u32>)>], states: &[(usize, NodeId)]) -> Vec<ValuedPath<'a>> {
    let state = |&(tree, node): &(usize, NodeId)| {
        let (ids, ends) = &of_trees[tree][node.0 as usize];
        ValuedPath { ids, ends }
    };
    states.iter().map(state).collect()
}

/// The values at the ends of paths.
fn last_values(verifier: &mut Verifier, paths: &[ValuedPath]) -> Result<Vec<StateValue>> {
    // The end of a state is the last of its ends.
    Ok(verifier.values(paths)?.into_iter().filter_map(|values| values.last().copied()).collect())
}

/// Tokens and ends of the state after each node of a tree, by node, as they were sampled.
fn as_sampled(tree: &Tree) -> Vec<(Vec<u32>, Vec<u32>)> {
    let state = |id: NodeId| {
        let (mut ids, mut ends) = (Vec::new(), Vec::new());
        for at in tree.path(id) {
            let tokens = tree.token_ids(at);
            ids.extend_from_slice(tokens);
            if !tokens.is_empty() {
                ends.push(ids.len() as u32);
            }
        }
        (ids, ends)
    };
    tree.ids().map(state).collect()
}

/// Adds what the search found of a tree's steps, in the order in which `state` is told their nodes; states of more than
/// `context` tokens are left out and counted.
fn judge(
    tree: &Tree,
    problem: usize,
    context: usize,
    judged: &mut JudgedStates,
    mut state: impl FnMut(NodeId),
) -> usize {
    let rules = PairRules { rule: PairRule::All, ..PairRules::default() };
    let to_go = rewards_to_go(tree);
    let mut too_long = 0;
    for Siblings { steps, pairs, .. } in siblings(tree, &rules) {
        let mut places = Vec::with_capacity(steps.len());
        for step in steps {
            let tokens: usize = tree.path(step).into_iter().map(|at| tree.token_ids(at).len()).sum();
            if tokens > context {
                too_long += 1;
                places.push(None);
                continue;
            }
            places.push(Some(judged.states.len()));
            let reward = to_go[step.0 as usize];
            let found = (!reward.is_nan()).then(|| f64::midpoint(1.0, reward));
            judged.states.push(JudgedState { problem, q: tree.node(step).q(), found });
            state(step);
        }
        judged.pairs.extend(pairs.into_iter().filter_map(|[better, worse]| Some([places[better]?, places[worse]?])));
    }
    too_long
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_model::{ModelConfig, Transformer};
    use espalier_policy::PolicyConfig;
    use espalier_tree::{Ending, Kind, NewNode, TreeInfo};
    use tch::{Device, Kind as Data, Tensor};

    /// A question of three tokens with three solutions, of Q 1, -1 and 0.5, the last too long for a context of 8.
    fn tree(problem: &str) -> Tree {
        let info = TreeInfo {
            run_id: "r".into(),
            round: 0,
            problem_id: problem.into(),
            question: "q".into(),
            reference_answer: "1".into(),
            tree_seed: 1,
        };
        let mut tree = Tree::new(info, "abc", &[1, 2, 3]);
        let solution = |ids: &[u32], reward: f32| NewNode {
            kind: Kind::Solution,
            text: format!("{ids:?}"),
            token_ids: ids.to_vec(),
            logprobs: vec![-0.5; ids.len()],
            prior: 0.5,
            ending: if reward > 0.0 { Ending::Correct } else { Ending::Wrong },
            reward: Some(reward),
            answer: Some("1".into()),
        };
        tree.expand(NodeId::ROOT, &[solution(&[4, 5], 1.0), solution(&[6], -1.0), solution(&[7; 9], 1.0)]);
        for (node, value) in [(1, 1.0), (2, -1.0), (3, 0.5)] {
            tree.set_statistics(NodeId(node), 1, value);
        }
        tree
    }

    fn subject(scale: f64) -> Verifier {
        let config = ModelConfig::llama(300, 16, 16, 1, 2, 1, 8).unwrap();
        let mut model = Transformer::init(&config, 3, Device::Cpu).unwrap();
        let head = Tensor::arange(16, (Data::Float, Device::Cpu)).sin() * scale;
        model.set_value_head(Some(head)).unwrap();
        Verifier::new(model, &PolicyConfig { threads: 1, ..PolicyConfig::default() }).unwrap()
    }

    #[test]
    fn one_subject_is_right_where_its_opposite_is_wrong() {
        let tokenizer = Tokenizer::train_bpe(["abc"; 3], 300, &[""; 0]).unwrap();
        let mut subjects = Subjects { verifier: subject(1.0), value_head: Some(subject(-1.0)), tokenizer };
        let trees = (0..20).map(|problem| Ok(tree(&problem.to_string())));
        let section = subjects.measure(trees, &[Ablation::StepAlone], 0).unwrap();
        assert_eq!((section.problems, section.states, section.too_long), (20, 40, 20));
        assert_eq!((section.verifier.pairs, section.verifier.by_margin[3].pairs), (20, 20));
        let [verifier, head] = [&section.verifier, section.value_head.as_ref().unwrap()].map(|it| it.ranked_right.mean);
        assert_eq!(verifier + head, 1.0, "every tree is the same");
        assert!(verifier == 0.0 || verifier == 1.0);
        assert_eq!(section.gain.unwrap().mean, verifier - head);
        assert_eq!(
            section.ablations["step_alone"].ranked_right, section.verifier.ranked_right,
            "there are no earlier steps"
        );
        assert_eq!(section.deviation, None);
        assert_eq!(section.verifier.calibration.states, 40);
    }
}
