//! Nodes: what a step is, how its path ended, and the statistics of its visits.

use espalier_settings::choices;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Index of a node in its tree; the root is `NodeId(0)`. Parents have smaller ids than their children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The root of every tree.
    pub const ROOT: NodeId = NodeId(0);

    #[inline]
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

choices! {
    /// What a node's step is.
    pub enum Kind {
        /// The question itself: no step.
        Root = "root",
        /// One step of a plan.
        Plan = "plan",
        /// One step of a solution, in the `step` granularity.
        Step = "step",
        /// The solution that ends a path. Malformed texts are neither and keep the kind they were sampled as.
        Solution = "solution",
    }
}

impl Kind {
    /// The kinds of steps, in the order in which a path has them.
    pub const STEPS: [Kind; 3] = [Kind::Plan, Kind::Step, Kind::Solution];
}

choices! {
    /// Why nothing follows a node, if nothing does.
    pub enum Ending {
        /// The path goes on.
        None = "none",
        /// A solution that the judges pass: by default, one whose answer equals the reference.
        Correct = "correct",
        /// A solution that they do not pass.
        Wrong = "wrong",
        /// Neither one plan step nor a solution with a boxed answer.
        Malformed = "malformed",
        /// A step beyond the depth limit.
        TooDeep = "too_deep",
        /// Cut by the token limit.
        Length = "length",
        /// All children are terminal.
        Exhausted = "exhausted",
        /// A solution of which a judge could not speak, as without a reference; it has no reward.
        Unverified = "unverified",
    }
}

impl Ending {
    /// Terminal nodes are never selected again.
    #[inline]
    pub fn is_terminal(self) -> bool {
        self != Ending::None
    }

    /// Ended by the path itself rather than by the state of its subtree, so that it carries a reward.
    #[inline]
    pub fn has_reward(self) -> bool {
        !matches!(self, Ending::None | Ending::Exhausted | Ending::Unverified)
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

/// Statistics and place of one node. Texts and tokens are read through [`Tree`](super::Tree).
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
    pub(super) value_estimate: f32,
    pub(super) reward: f32,
    pub(super) parent: u32,
    pub(super) first_child: u32,
    pub(super) token_end: u32,
    pub(super) text_end: u32,
    pub(super) child_count: u16,
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
    #[inline]
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
    #[inline]
    pub fn is_expanded(&self) -> bool {
        self.child_count > 0
    }

    /// The node's children, in the order in which they were sampled.
    #[inline]
    pub fn children(&self) -> std::iter::Map<Range<u32>, fn(u32) -> NodeId> {
        self.child_range().map(NodeId as fn(u32) -> NodeId)
    }

    /// The ids of the children as a range.
    #[inline]
    pub fn child_range(&self) -> Range<u32> {
        self.first_child..self.first_child + u32::from(self.child_count)
    }
}
