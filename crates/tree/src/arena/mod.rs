//! One search tree in memory: nodes in an arena, texts and tokens in shared pools.
//!
//! A node is 48 bytes; its text and tokens lie in pools that all nodes of the tree share, so growing a tree allocates
//! nothing per node. Siblings are added one after the other and are contiguous, so children need no list of their own.

mod grow;
mod node;
mod restore;
mod scores;
#[cfg(test)]
mod tests;

pub use grow::{MemoryBytes, NewStep};
pub use node::{Ending, Kind, NewNode, Node, NodeId};
pub(crate) use restore::StoredStep;
pub use scores::PASSES;
use scores::Scores;

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Where a tree comes from and what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeInfo {
    /// The run that made the tree.
    pub run_id: String,
    /// The round of that run.
    pub round: u32,
    /// The problem's id.
    pub problem_id: String,
    /// The problem's text.
    pub question: String,
    /// The answer that counts as correct.
    pub reference_answer: String,
    /// Seed of the tree's own generator.
    pub tree_seed: u64,
}

/// One search tree. The root's text and tokens are the rendered prompt.
///
/// Two trees are equal if everything in them is, floats by their bits.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Where the tree comes from.
    pub info: TreeInfo,
    nodes: Vec<Node>,
    token_ids: Vec<u32>,
    logprobs: Vec<f32>,
    text: String,
    // Few nodes have an answer, so the pairs (node, answer) lie apart, by rising node.
    answers: Vec<(u32, String)>,
    scores: Scores,
}

impl PartialEq for Tree {
    fn eq(&self, other: &Tree) -> bool {
        self.info == other.info
            && self.nodes == other.nodes
            && self.token_ids == other.token_ids
            && self.logprobs.iter().map(|x| x.to_bits()).eq(other.logprobs.iter().map(|x| x.to_bits()))
            && self.text == other.text
            && self.answers == other.answers
            && self.scores == other.scores
    }
}

impl Tree {
    /// A tree with only its root: the prompt as text and as tokens.
    pub fn new(info: TreeInfo, prompt: &str, prompt_ids: &[u32]) -> Tree {
        let root = Node {
            value_sum: 0.0,
            visits: 0,
            prior: 1.0,
            value_estimate: f32::NAN,
            reward: f32::NAN,
            parent: u32::MAX,
            first_child: 0,
            token_end: prompt_ids.len() as u32,
            text_end: prompt.len() as u32,
            child_count: 0,
            depth: 0,
            kind: Kind::Root,
            ending: Ending::None,
        };
        Tree {
            info,
            nodes: vec![root],
            token_ids: prompt_ids.to_vec(),
            // The prompt was not sampled; zeros keep the two pools parallel.
            logprobs: vec![0.0; prompt_ids.len()],
            text: prompt.to_owned(),
            answers: Vec::new(),
            scores: Scores::default(),
        }
    }

    /// Records the value head's estimate of a state.
    #[inline]
    pub fn set_value_estimate(&mut self, node: NodeId, value: f32) {
        self.nodes[node.index()].value_estimate = value;
    }

    /// Marks a node as ended, as when its last open child has become terminal.
    #[inline]
    pub fn set_ending(&mut self, node: NodeId, ending: Ending) {
        self.nodes[node.index()].ending = ending;
    }

    /// Overwrites N and W, as a reader of stored trees does.
    #[inline]
    pub fn set_statistics(&mut self, node: NodeId, visits: u32, value_sum: f64) {
        let node = &mut self.nodes[node.index()];
        node.visits = visits;
        node.value_sum = value_sum;
    }

    /// The node with this id.
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The children of a node, in the order in which they were sampled.
    #[inline]
    pub fn children(&self, id: NodeId) -> &[Node] {
        let range = self.node(id).child_range();
        &self.nodes[range.start as usize..range.end as usize]
    }

    /// Number of nodes, root included.
    #[inline]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a tree has at least its root.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// All nodes, parents before children.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The parent; `None` at the root.
    #[inline]
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        let parent = self.node(id).parent;
        (parent != u32::MAX).then_some(NodeId(parent))
    }

    /// The nodes from the root to `id`, both included.
    pub fn path(&self, id: NodeId) -> Vec<NodeId> {
        let mut path: Vec<_> = std::iter::successors(Some(id), |&at| self.parent(at)).collect();
        path.reverse();
        path
    }

    #[inline]
    fn tokens_of(&self, id: NodeId) -> Range<usize> {
        let start = if id == NodeId::ROOT { 0 } else { self.nodes[id.index() - 1].token_end };
        start as usize..self.node(id).token_end as usize
    }

    /// The step's own tokens.
    #[inline]
    pub fn token_ids(&self, id: NodeId) -> &[u32] {
        &self.token_ids[self.tokens_of(id)]
    }

    /// The natural log-probability of each of the step's own tokens, temperature 1; zeros at the root.
    #[inline]
    pub fn logprobs(&self, id: NodeId) -> &[f32] {
        &self.logprobs[self.tokens_of(id)]
    }

    /// The step's own text.
    #[inline]
    pub fn text(&self, id: NodeId) -> &str {
        let start = if id == NodeId::ROOT { 0 } else { self.nodes[id.index() - 1].text_end };
        &self.text[start as usize..self.node(id).text_end as usize]
    }

    /// The answer found in this solution, if one was.
    pub fn answer(&self, id: NodeId) -> Option<&str> {
        let at = self.answers.binary_search_by_key(&id.0, |(node, _)| *node).ok()?;
        Some(&self.answers[at].1)
    }

    /// All tokens of the state after `id`: the prompt's and those of each step on the path.
    pub fn prefix_ids(&self, id: NodeId) -> Vec<u32> {
        self.path(id).into_iter().flat_map(|at| self.token_ids(at).iter().copied()).collect()
    }

    /// V(s) = sum N Q / sum N over the children (algorithm, section 3); `None` at a leaf.
    pub fn state_value(&self, id: NodeId) -> Option<f64> {
        let (visits, value_sum) = self.node(id).children().fold((0_u64, 0.0), |(n, w), child| {
            let child = self.node(child);
            (n + u64::from(child.visits), w + child.value_sum)
        });
        (visits > 0).then(|| value_sum / visits as f64)
    }

    /// A(s, a) = Q(s, a) - V(s), s being the parent's state; `None` at the root.
    pub fn advantage(&self, id: NodeId) -> Option<f64> {
        let value = self.state_value(self.parent(id)?)?;
        Some(self.node(id).q() - value)
    }
}
