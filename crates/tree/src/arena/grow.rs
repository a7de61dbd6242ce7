//! Growing a tree: steps are appended, values are backed up.

use super::{Ending, Kind, NewNode, Node, NodeId, Tree};
use std::ops::Range;

/// A [`NewNode`] whose text and tokens lie elsewhere; the tree copies them into its pools.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewStep<'a> {
    /// See [`NewNode::kind`].
    pub kind: Kind,
    /// See [`NewNode::text`].
    pub text: &'a str,
    /// See [`NewNode::token_ids`].
    pub token_ids: &'a [u32],
    /// See [`NewNode::logprobs`].
    pub logprobs: &'a [f32],
    /// See [`NewNode::prior`].
    pub prior: f32,
    /// See [`NewNode::ending`].
    pub ending: Ending,
    /// See [`NewNode::reward`].
    pub reward: Option<f32>,
    /// See [`NewNode::answer`].
    pub answer: Option<&'a str>,
}

impl<'a> From<&'a NewNode> for NewStep<'a> {
    fn from(node: &'a NewNode) -> NewStep<'a> {
        NewStep {
            kind: node.kind,
            text: &node.text,
            token_ids: &node.token_ids,
            logprobs: &node.logprobs,
            prior: node.prior,
            ending: node.ending,
            reward: node.reward,
            answer: node.answer.as_deref(),
        }
    }
}

/// Memory that a tree takes, room for its growth included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryBytes {
    /// Statistics and places of the nodes, and what judges said of them.
    pub nodes: usize,
    /// Tokens with their log-probabilities.
    pub tokens: usize,
    /// Texts and answers.
    pub text: usize,
}

impl Tree {
    /// Adds the steps that follow `parent`, in one go, and returns their ids. No steps leave the node as it was.
    ///
    /// # Panics
    /// When `parent` already has children, or a step's tokens and log-probabilities differ in number.
    pub fn expand(&mut self, parent: NodeId, steps: &[NewNode]) -> Range<u32> {
        assert!(!self.node(parent).is_expanded(), "node {} is expanded already", parent.0);
        let first = self.nodes.len() as u32;
        for step in steps {
            self.append(parent, &step.into());
        }
        first..self.nodes.len() as u32
    }

    /// Adds one more step that follows `parent`. Siblings are added one after the other.
    ///
    /// # Panics
    /// When another node was added since the step before it, tokens and log-probabilities differ in number, or the tree is
    /// larger than its numbers can count.
    #[inline]
    pub fn append(&mut self, parent: NodeId, step: &NewStep<'_>) -> NodeId {
        match self.try_append(parent.0, step) {
            Ok(id) => id,
            Err(reason) => panic!("cannot add a step to node {}: {reason}", parent.0),
        }
    }

    /// Adds the node with the next id, which was never visited. Siblings must follow each other, parents must come first.
    ///
    /// # Errors
    /// What about the step contradicts the nodes before it; the tree is then as it was.
    #[inline]
    pub(super) fn try_append(&mut self, parent: u32, step: &NewStep<'_>) -> Result<NodeId, &'static str> {
        let (token_end, text_end) = (self.token_ids.len() + step.token_ids.len(), self.text.len() + step.text.len());
        // A bit above the lowest 32 of any of the three.
        if (self.nodes.len() | token_end | text_end) > u32::MAX as usize {
            return Err("the tree has more nodes, tokens or bytes of text than can be counted in 32 bits");
        }
        let id = self.nodes.len() as u32;
        if parent >= id {
            return Err("the parent does not come before the node");
        }
        if step.token_ids.len() != step.logprobs.len() {
            return Err("tokens and log-probabilities differ in number");
        }
        let above = &mut self.nodes[parent as usize];
        let first_child = if above.is_expanded() { above.first_child } else { id };
        if first_child + u32::from(above.child_count) != id {
            return Err("siblings do not follow each other");
        }
        if above.child_count == u16::MAX || above.depth == u16::MAX {
            return Err("a node has more than 65535 children, or the tree is deeper than 65535 steps");
        }

        (above.first_child, above.child_count) = (first_child, above.child_count + 1);
        let depth = above.depth + 1;
        push_all(&mut self.token_ids, step.token_ids);
        push_all(&mut self.logprobs, step.logprobs);
        if self.text.capacity() - self.text.len() < step.text.len() {
            self.text.reserve_exact(growth(self.text.len(), step.text.len()));
        }
        self.text.push_str(step.text);
        if let Some(answer) = step.answer {
            self.answers.push((id, answer.to_owned()));
        }
        if self.nodes.capacity() == self.nodes.len() {
            self.nodes.reserve_exact(growth(self.nodes.len(), 1));
        }
        self.nodes.push(Node {
            value_sum: 0.0,
            visits: 0,
            prior: step.prior,
            value_estimate: f32::NAN,
            reward: step.reward.unwrap_or(f32::NAN),
            parent,
            first_child: 0,
            token_end: token_end as u32,
            text_end: text_end as u32,
            child_count: 0,
            depth,
            kind: step.kind,
            ending: step.ending,
        });
        self.scores.push_node();
        Ok(NodeId(id))
    }

    /// Backs a value up from `node` to the root: on every node of the path N += 1 and W += value.
    pub fn back_up(&mut self, node: NodeId, value: f64) {
        self.back_up_all(node, &[value]);
    }

    /// Backs values up from `node` to the root, one after the other, in a single walk.
    pub fn back_up_all(&mut self, node: NodeId, values: &[f64]) {
        let mut at = node.0;
        while at != u32::MAX {
            self.add_values(at, values);
            at = self.nodes[at as usize].parent;
        }
    }

    /// [`back_up_all`](Self::back_up_all) where the path from the root is known: the nodes' memory is then fetched at the
    /// same time, rather than each parent's after its child's.
    #[inline]
    pub fn back_up_path(&mut self, path: &[NodeId], values: &[f64]) {
        for at in path {
            self.add_values(at.0, values);
        }
    }

    #[inline]
    fn add_values(&mut self, at: u32, values: &[f64]) {
        let node = &mut self.nodes[at as usize];
        node.visits += values.len() as u32;
        for value in values {
            node.value_sum += value;
        }
    }

    /// Memory that the tree takes.
    pub fn memory_bytes(&self) -> MemoryBytes {
        let answers = self.answers.iter().map(|(_, answer)| answer.capacity()).sum::<usize>();
        MemoryBytes {
            nodes: self.nodes.capacity() * size_of::<Node>() + self.scores.memory_bytes(),
            tokens: (self.token_ids.capacity() + self.logprobs.capacity()) * size_of::<u32>(),
            text: self.text.capacity() + self.answers.capacity() * size_of::<(u32, String)>() + answers,
        }
    }
}

/// What to reserve when there is no room for `more` items: a quarter of what is there. Doubling, as vectors do by
/// themselves, would leave up to half of the memory of thousands of trees unused.
#[cold]
fn growth(len: usize, more: usize) -> usize {
    more.max(len / 4).max(64)
}

#[inline]
fn push_all<T: Copy>(pool: &mut Vec<T>, items: &[T]) {
    if pool.capacity() - pool.len() < items.len() {
        pool.reserve_exact(growth(pool.len(), items.len()));
    }
    pool.extend_from_slice(items);
}
