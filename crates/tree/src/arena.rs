//! One search tree in memory: nodes in an arena, texts and tokens in shared pools.
//!
//! A node is 48 bytes; its text and tokens lie in pools that all nodes of the tree share, so growing a tree allocates
//! nothing per node. Siblings are added in one go and are contiguous, so children need no list of their own.

mod restore;
#[cfg(test)]
mod tests;

pub(crate) use restore::StoredStep;

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Index of a node in its tree; the root is `NodeId(0)`. Parents have smaller ids than their children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The root of every tree.
    pub const ROOT: NodeId = NodeId(0);

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node's step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The question itself: no step.
    Root,
    /// One step of a plan.
    Plan,
    /// One step of a solution, in the `step` granularity.
    Step,
    /// The solution that ends a path. Malformed texts are neither and keep the kind they were sampled as.
    Solution,
}

/// Why nothing follows a node, if nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The path goes on.
    None,
    /// A solution whose answer equals the reference.
    Correct,
    /// A solution whose answer does not.
    Wrong,
    /// Neither one plan step nor a solution with a boxed answer.
    Malformed,
    /// A step beyond the depth limit.
    TooDeep,
    /// Cut by the token limit.
    Length,
    /// All children are terminal.
    Exhausted,
}

impl Ending {
    /// Terminal nodes are never selected again.
    pub fn is_terminal(self) -> bool {
        self != Ending::None
    }

    /// Ended by the path itself rather than by the state of its subtree, so that it carries a reward.
    pub fn has_reward(self) -> bool {
        !matches!(self, Ending::None | Ending::Exhausted)
    }
}

/// A step to be added to a tree: what was sampled and what was judged at once.
#[derive(Clone, Debug, PartialEq)]
pub struct NewNode {
    /// What the step is.
    pub kind: Kind,
    /// The step's text as sampled, up to and including its stop string.
    pub text: String,
    /// The step's tokens as sampled.
    pub token_ids: Vec<u32>,
    /// Natural log-probability of each token before temperature; as long as `token_ids`.
    pub logprobs: Vec<f32>,
    /// P(step | state), see [`Node::prior`].
    pub prior: f32,
    /// How the path ends here, if it does.
    pub ending: Ending,
    /// Reward in [-1, 1] where `ending` has one.
    pub reward: Option<f32>,
    /// The answer found in a solution.
    pub answer: Option<String>,
}

/// Statistics and place of one node. Texts and tokens are read through [`Tree`].
///
/// Two nodes are equal if all their numbers have the same bits; missing numbers are equal to each other.
#[derive(Clone, Debug)]
pub struct Node {
    /// W, the sum of all values backed up through this node.
    pub value_sum: f64,
    /// N, the number of values backed up through this node.
    pub visits: u32,
    /// P, the exponential of the mean token log-probability before temperature (algorithm, section 2.3).
    pub prior: f32,
    value_estimate: f32,
    reward: f32,
    parent: u32,
    first_child: u32,
    token_end: u32,
    text_end: u32,
    child_count: u16,
    /// Steps from the root; the root's is 0.
    pub depth: u16,
    /// What the step is.
    pub kind: Kind,
    /// Why nothing follows, if nothing does.
    pub ending: Ending,
}

impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        let bits = |node: &Node| {
            let estimates = [node.value_estimate(), node.reward(), Some(node.prior)].map(|x| x.map(f32::to_bits));
            let place = (node.parent, node.first_child, node.child_count, node.token_end, node.text_end, node.depth);
            (node.value_sum.to_bits(), node.visits, estimates, place, node.kind, node.ending)
        };
        bits(self) == bits(other)
    }
}

impl Node {
    /// Q = W / N; 0 for a node that was never visited.
    pub fn q(&self) -> f64 {
        if self.visits == 0 { 0.0 } else { self.value_sum / f64::from(self.visits) }
    }

    /// The value head's own estimate of the state after this step, if one was made.
    pub fn value_estimate(&self) -> Option<f32> {
        (!self.value_estimate.is_nan()).then_some(self.value_estimate)
    }

    /// The verified outcome, where the path ends here.
    pub fn reward(&self) -> Option<f32> {
        (!self.reward.is_nan()).then_some(self.reward)
    }

    /// Whether children were added.
    pub fn is_expanded(&self) -> bool {
        self.child_count > 0
    }

    /// The node's children, in the order in which they were sampled.
    pub fn children(&self) -> std::iter::Map<Range<u32>, fn(u32) -> NodeId> {
        self.child_range().map(NodeId as fn(u32) -> NodeId)
    }

    /// The ids of the children as a range.
    pub fn child_range(&self) -> Range<u32> {
        self.first_child..self.first_child + u32::from(self.child_count)
    }
}

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
}

impl PartialEq for Tree {
    fn eq(&self, other: &Tree) -> bool {
        self.info == other.info
            && self.nodes == other.nodes
            && self.token_ids == other.token_ids
            && self.logprobs.iter().map(|x| x.to_bits()).eq(other.logprobs.iter().map(|x| x.to_bits()))
            && self.text == other.text
            && self.answers == other.answers
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
        }
    }

    /// Adds the steps that follow `parent`, in one go, and returns their ids. No steps leave the node as it was.
    ///
    /// # Panics
    /// When `parent` already has children, or a step's tokens and log-probabilities differ in number.
    pub fn expand(&mut self, parent: NodeId, steps: &[NewNode]) -> Range<u32> {
        assert!(!self.node(parent).is_expanded(), "node {} is expanded already", parent.0);
        let first = self.nodes.len() as u32;
        let depth = self.node(parent).depth + 1;
        for step in steps {
            assert_eq!(step.token_ids.len(), step.logprobs.len(), "a log-probability for each token");
            self.token_ids.extend_from_slice(&step.token_ids);
            self.logprobs.extend_from_slice(&step.logprobs);
            self.text.push_str(&step.text);
            if let Some(answer) = &step.answer {
                self.answers.push((self.nodes.len() as u32, answer.clone()));
            }
            self.nodes.push(Node {
                value_sum: 0.0,
                visits: 0,
                prior: step.prior,
                value_estimate: f32::NAN,
                reward: step.reward.unwrap_or(f32::NAN),
                parent: parent.0,
                first_child: 0,
                token_end: self.token_ids.len() as u32,
                text_end: self.text.len() as u32,
                child_count: 0,
                depth,
                kind: step.kind,
                ending: step.ending,
            });
        }
        if !steps.is_empty() {
            let node = &mut self.nodes[parent.index()];
            node.first_child = first;
            node.child_count = steps.len() as u16;
        }
        first..self.nodes.len() as u32
    }

    /// Backs a value up from `node` to the root: on every node of the path N += 1 and W += value.
    pub fn back_up(&mut self, node: NodeId, value: f64) {
        let mut at = node.0;
        while at != u32::MAX {
            let node = &mut self.nodes[at as usize];
            node.visits += 1;
            node.value_sum += value;
            at = node.parent;
        }
    }

    /// Records the value head's estimate of a state.
    pub fn set_value_estimate(&mut self, node: NodeId, value: f32) {
        self.nodes[node.index()].value_estimate = value;
    }

    /// Marks a node as ended, as when its last open child has become terminal.
    pub fn set_ending(&mut self, node: NodeId, ending: Ending) {
        self.nodes[node.index()].ending = ending;
    }

    /// Overwrites N and W, as a reader of stored trees does.
    pub fn set_statistics(&mut self, node: NodeId, visits: u32, value_sum: f64) {
        let node = &mut self.nodes[node.index()];
        node.visits = visits;
        node.value_sum = value_sum;
    }

    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Number of nodes, root included.
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

    fn tokens_of(&self, id: NodeId) -> Range<usize> {
        let start = if id == NodeId::ROOT { 0 } else { self.nodes[id.index() - 1].token_end };
        start as usize..self.node(id).token_end as usize
    }

    /// The step's own tokens.
    pub fn token_ids(&self, id: NodeId) -> &[u32] {
        &self.token_ids[self.tokens_of(id)]
    }

    /// The natural log-probability of each of the step's own tokens, temperature 1; zeros at the root.
    pub fn logprobs(&self, id: NodeId) -> &[f32] {
        &self.logprobs[self.tokens_of(id)]
    }

    /// The step's own text.
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
