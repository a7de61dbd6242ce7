//! What is trained on: paths, pairs of steps, lists of siblings, and values.

use crate::batch::PromptSteps;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// A text to imitate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftExample {
    /// The prompt's tokens and those of the path.
    pub ids: Vec<u32>,
    /// Tokens of the prompt; they carry no loss.
    pub prompt_len: usize,
}

/// Two steps from one state, one better than the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferencePair {
    /// The state's tokens; they carry no loss.
    pub prompt_ids: Vec<u32>,
    /// The better step's tokens.
    pub chosen_ids: Vec<u32>,
    /// The worse step's tokens.
    pub rejected_ids: Vec<u32>,
    /// Q of the better step, in [-1, 1].
    pub q_chosen: f32,
    /// Q of the worse step, in [-1, 1].
    pub q_rejected: f32,
    /// Visits of the better step.
    pub visits_chosen: u32,
    /// Visits of the worse step.
    pub visits_rejected: u32,
    /// Multiplies the pair's loss.
    pub weight: f32,
    /// Multiplies both Q (0.3 for solutions in CPL).
    pub q_scale: f32,
    /// Log-probabilities of the chosen and the rejected step, in nats, under the policy that training starts from, if they
    /// are known.
    pub reference: Option<[f32; 2]>,
}

impl PreferencePair {
    /// The pair with both steps cut behind the first token in which they differ. What a policy does behind its decision only
    /// carries it out; a loss over whole steps lowers that of the rejected step, too, and where steps are short the policy
    /// forgets how to do what it need not have decided (measured in `data/LOG.md`, 2026-11-28). A known reference is dropped,
    /// since it is of whole steps.
    #[must_use]
    pub fn decided(mut self) -> PreferencePair {
        let end = shared(&self.chosen_ids, &self.rejected_ids) + 1;
        self.chosen_ids.truncate(end);
        self.rejected_ids.truncate(end);
        self.reference = None;
        self
    }

    pub(crate) fn prompt_steps(&self) -> PromptSteps<'_> {
        PromptSteps { prompt: &self.prompt_ids, steps: vec![&self.chosen_ids, &self.rejected_ids] }
    }
}

/// The number of tokens in which two steps begin alike.
fn shared(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// All K steps from one state, for the losses over lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiblingList {
    /// The state's tokens; they carry no loss.
    pub prompt_ids: Vec<u32>,
    /// Each step's tokens.
    pub steps: Vec<Vec<u32>>,
    /// Q of each step, in [-1, 1].
    pub q: Vec<f32>,
    /// Visits of each step.
    pub visits: Vec<u32>,
    /// Multiplies the list's loss.
    pub weight: f32,
    /// Multiplies every Q (0.3 for solutions in CPL).
    pub q_scale: f32,
}

impl SiblingList {
    /// The list with each step cut behind the first token in which it differs from all others, see
    /// [`PreferencePair::decided`].
    #[must_use]
    pub fn decided(mut self) -> SiblingList {
        let ends: Vec<usize> = (0..self.steps.len())
            .map(|at| {
                let others = self.steps.iter().enumerate().filter(|(other, _)| *other != at);
                others.map(|(_, other)| shared(&self.steps[at], other)).max().unwrap_or(0) + 1
            })
            .collect();
        self.steps.iter_mut().zip(ends).for_each(|(step, end)| step.truncate(end));
        self
    }

    /// The siblings that `pairs` of one state name, in the order in which they come, each once; a list a state, beside the
    /// index of its first pair. A list's weight is the mean of its pairs'. Steps that are in no pair are unknown here.
    pub fn of_pairs(pairs: &[PreferencePair]) -> Vec<(usize, SiblingList)> {
        let mut lists: Vec<(usize, SiblingList)> = Vec::new();
        let mut counts: Vec<u32> = Vec::new();
        let mut place: HashMap<&[u32], usize> = HashMap::new();
        for (first, pair) in pairs.iter().enumerate() {
            let at = *place.entry(&pair.prompt_ids).or_insert_with(|| {
                lists.push((first, SiblingList::empty(pair.prompt_ids.clone())));
                counts.push(0);
                lists.len() - 1
            });
            let list = &mut lists[at].1;
            counts[at] += 1;
            list.weight += pair.weight;
            let steps = [
                (&pair.chosen_ids, pair.q_chosen, pair.visits_chosen),
                (&pair.rejected_ids, pair.q_rejected, pair.visits_rejected),
            ];
            for (step, q, visits) in steps {
                if !list.steps.contains(step) {
                    list.steps.push(step.clone());
                    // Pairs of one state may differ in their scale.
                    list.q.push(q * pair.q_scale);
                    list.visits.push(visits);
                }
            }
        }
        lists.iter_mut().zip(counts).for_each(|((_, list), count)| list.weight /= count as f32);
        lists
    }

    fn empty(prompt_ids: Vec<u32>) -> SiblingList {
        let (steps, q, visits) = (Vec::new(), Vec::new(), Vec::new());
        SiblingList { prompt_ids, steps, q, visits, weight: 0.0, q_scale: 1.0 }
    }

    /// The pairs of neighbours of a list whose Q falls: each step with the first that is worse and the last that is
    /// better, so that steps of one Q leave none of them out. `q` and `visits` are as long as `steps`.
    pub fn neighbours(&self) -> Vec<PreferencePair> {
        let q = &self.q;
        let first_worse = |better: usize| (better + 1..q.len()).find(|&at| q[at] < q[better]);
        let last_better = |worse: usize| (0..worse).rfind(|&at| q[at] > q[worse]);
        let down = (0..q.len()).filter_map(|at| Some((at, first_worse(at)?)));
        let up = (0..q.len()).filter_map(|at| Some((last_better(at)?, at)));
        let places: BTreeSet<(usize, usize)> = down.chain(up).collect();
        let pair = |(chosen, rejected): (usize, usize)| PreferencePair {
            prompt_ids: self.prompt_ids.clone(),
            chosen_ids: self.steps[chosen].clone(),
            rejected_ids: self.steps[rejected].clone(),
            q_chosen: q[chosen],
            q_rejected: q[rejected],
            visits_chosen: self.visits[chosen],
            visits_rejected: self.visits[rejected],
            weight: self.weight,
            q_scale: self.q_scale,
            reference: None,
        };
        places.into_iter().map(pair).collect()
    }
}

/// A path and the values of its states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueExample {
    /// The path's tokens.
    pub ids: Vec<u32>,
    /// Offset in `ids` past the last token of each state, rising, at least 1.
    pub step_ends: Vec<u32>,
    /// The value of each state, in [-1, 1]; as long as `step_ends`.
    pub targets: Vec<f32>,
}

/// The steps after one state, S of them, with what a search found of each: what a verifier learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiblingStates {
    /// The problem, counted from 0; the heads of an ensemble see other problems.
    pub problem: usize,
    /// The state's tokens, at least one.
    pub prompt_ids: Vec<u32>,
    /// Each step's tokens. Length S.
    pub steps: Vec<Vec<u32>>,
    /// Q of each step, in [-1, 1]. Length S.
    pub q: Vec<f32>,
    /// Visits of each step. Length S.
    pub visits: Vec<u32>,
    /// The better and the worse step of each pair that is to be ranked, as places in `steps`.
    pub pairs: Vec<[usize; 2]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_ends_with_the_first_token_that_differs() {
        let pair = |chosen: &[u32], rejected: &[u32]| {
            let pair = PreferencePair {
                prompt_ids: vec![1],
                chosen_ids: chosen.to_vec(),
                rejected_ids: rejected.to_vec(),
                q_chosen: 1.0,
                q_rejected: -1.0,
                visits_chosen: 1,
                visits_rejected: 1,
                weight: 1.0,
                q_scale: 1.0,
                reference: Some([-1.0, -2.0]),
            };
            let decided = pair.decided();
            assert_eq!(decided.reference, None);
            (decided.chosen_ids, decided.rejected_ids)
        };
        assert_eq!(pair(&[5, 6, 7, 8], &[5, 9, 7, 8]), (vec![5, 6], vec![5, 9]));
        assert_eq!(pair(&[4], &[5, 6]), (vec![4], vec![5]));
        // One that only goes on where the other ends: its going on is the decision.
        assert_eq!(pair(&[5, 6], &[5, 6, 7, 8]), (vec![5, 6], vec![5, 6, 7]));
        let list = SiblingList {
            prompt_ids: vec![1],
            steps: vec![vec![5, 6, 7], vec![5, 6, 8, 9], vec![4, 4]],
            q: vec![1.0, 0.0, -1.0],
            visits: vec![1; 3],
            weight: 1.0,
            q_scale: 1.0,
        };
        assert_eq!(list.decided().steps, [vec![5, 6, 7], vec![5, 6, 8], vec![4]]);
    }

    #[test]
    fn every_step_of_a_list_is_in_a_pair_of_neighbours() {
        let steps = (0..5).map(|id| vec![id]).collect();
        let q = vec![1.0, 1.0, 0.5, -1.0, -1.0];
        let list =
            SiblingList { prompt_ids: vec![7], steps, q, visits: vec![9, 8, 7, 6, 5], weight: 1.0, q_scale: 0.3 };
        let pairs = list.neighbours();
        let steps = pairs.iter().map(|pair| (pair.chosen_ids[0], pair.rejected_ids[0]));
        assert_eq!(steps.collect::<Vec<_>>(), [(0, 2), (1, 2), (2, 3), (2, 4)]);
        assert_eq!((pairs[1].visits_chosen, pairs[1].visits_rejected, pairs[1].q_scale), (8, 7, 0.3));
        let again = SiblingList::of_pairs(&pairs);
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].0, &again[0].1.visits), (0, &vec![9, 7, 8, 6, 5]));
    }
}
