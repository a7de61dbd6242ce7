//! One step pair.

use crate::arena::{Kind, NodeId, Tree};

/// Two steps after the same state, of which the search found one better. Its fields are the columns of `pairs`.
///
/// `prompt` is the whole text of the state, so `prompt` + `chosen` is exactly what the policy read and wrote; the same
/// holds for the token ids.
#[derive(Clone, Debug, PartialEq)]
pub struct StepPair {
    /// Text of the state: the rendered prompt and the steps so far.
    pub prompt: String,
    /// Text of the better step, as sampled.
    pub chosen: String,
    /// Text of the worse step, as sampled.
    pub rejected: String,
    /// Tokens of the state.
    pub prompt_ids: Vec<u32>,
    /// Tokens of the better step.
    pub chosen_ids: Vec<u32>,
    /// Tokens of the worse step.
    pub rejected_ids: Vec<u32>,
    /// Natural log-probability of each chosen token under the sampling policy, temperature 1.
    pub chosen_logprobs: Vec<f32>,
    /// The same for the rejected tokens.
    pub rejected_logprobs: Vec<f32>,
    /// Q of the better step.
    pub q_chosen: f32,
    /// Q of the worse step.
    pub q_rejected: f32,
    /// Q(chosen) - V(state).
    pub advantage_chosen: f32,
    /// Q(rejected) - V(state).
    pub advantage_rejected: f32,
    /// N of the better step.
    pub visits_chosen: u32,
    /// N of the worse step.
    pub visits_rejected: u32,
    /// Factor on the pair's loss; selection gives 1.
    pub weight: f32,
    /// Kind of both steps.
    pub kind: Kind,
    /// Depth of both steps; the first after the question is 1.
    pub depth: u16,
    /// The problem.
    pub problem_id: String,
    /// The round of the tree.
    pub round: u32,
    /// The state's node in its tree.
    pub state_node: u32,
    /// The better step's node.
    pub chosen_node: u32,
    /// The worse step's node.
    pub rejected_node: u32,
}

impl StepPair {
    /// log pi(step | state) of the better and of the worse step under the sampling policy, in nats: the sums over their
    /// tokens, taken in float64.
    pub fn step_logprobs(&self) -> [f32; 2] {
        [&self.chosen_logprobs, &self.rejected_logprobs]
            .map(|tokens| tokens.iter().map(|&logprob| f64::from(logprob)).sum::<f64>() as f32)
    }
}

/// A state's text, tokens and value, which all pairs of the state share.
pub(super) struct State {
    node: NodeId,
    text: String,
    ids: Vec<u32>,
    value: f64,
}

impl State {
    pub(super) fn of(tree: &Tree, node: NodeId) -> State {
        let text = tree.path(node).into_iter().map(|at| tree.text(at)).collect();
        State { node, text, ids: tree.prefix_ids(node), value: tree.state_value(node).unwrap_or(0.0) }
    }

    pub(super) fn pair(&self, tree: &Tree, chosen: NodeId, rejected: NodeId) -> StepPair {
        let (better, worse) = (tree.node(chosen), tree.node(rejected));
        StepPair {
            prompt: self.text.clone(),
            chosen: tree.text(chosen).to_owned(),
            rejected: tree.text(rejected).to_owned(),
            prompt_ids: self.ids.clone(),
            chosen_ids: tree.token_ids(chosen).to_vec(),
            rejected_ids: tree.token_ids(rejected).to_vec(),
            chosen_logprobs: tree.logprobs(chosen).to_vec(),
            rejected_logprobs: tree.logprobs(rejected).to_vec(),
            q_chosen: better.q() as f32,
            q_rejected: worse.q() as f32,
            advantage_chosen: (better.q() - self.value) as f32,
            advantage_rejected: (worse.q() - self.value) as f32,
            visits_chosen: better.visits,
            visits_rejected: worse.visits,
            weight: 1.0,
            kind: better.kind,
            depth: better.depth,
            problem_id: tree.info.problem_id.clone(),
            round: tree.info.round,
            state_node: self.node.0,
            chosen_node: chosen.0,
            rejected_node: rejected.0,
        }
    }
}
