//! Rebuilding a stored tree node by node, with everything that is wrong in the stored form reported and nothing trusted.

use super::{Ending, Kind, Node, NodeId, Tree};

/// A node below the root as a reader finds it; everything is borrowed, so that reading allocates nothing per node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredStep<'a> {
    pub parent: u32,
    pub kind: Kind,
    pub ending: Ending,
    pub text: &'a str,
    pub token_ids: &'a [u32],
    pub logprobs: &'a [f32],
    pub prior: f32,
    pub visits: u32,
    pub value_sum: f64,
    pub value_estimate: Option<f32>,
    pub reward: Option<f32>,
    pub answer: Option<&'a str>,
}

impl Tree {
    /// Appends the node with the next id. Siblings must follow each other, parents must come first.
    ///
    /// # Errors
    /// What about the node contradicts the nodes before it.
    pub(crate) fn restore_step(&mut self, step: &StoredStep) -> Result<NodeId, &'static str> {
        let id = u32::try_from(self.nodes.len()).map_err(|_| "the tree has more nodes than ids")?;
        if step.parent >= id {
            return Err("the parent does not come before the node");
        }
        if step.kind == Kind::Root {
            return Err("a node below the root has the kind root");
        }
        if step.token_ids.len() != step.logprobs.len() {
            return Err("tokens and log-probabilities differ in number");
        }
        let parent = &self.nodes[step.parent as usize];
        if parent.is_expanded() && parent.child_range().end != id {
            return Err("siblings do not follow each other");
        }
        let first_child = if parent.is_expanded() { parent.first_child } else { id };
        let child_count = parent.child_count.checked_add(1).ok_or("a node has more than 65535 children")?;
        let depth = parent.depth.checked_add(1).ok_or("the tree is deeper than 65535 steps")?;
        let token_end = u32::try_from(self.token_ids.len() + step.token_ids.len())
            .map_err(|_| "the tree has more tokens than can be counted in 32 bits")?;
        let text_end = u32::try_from(self.text.len() + step.text.len())
            .map_err(|_| "the tree has more text than can be counted in 32 bits")?;

        let parent = &mut self.nodes[step.parent as usize];
        parent.first_child = first_child;
        parent.child_count = child_count;
        self.token_ids.extend_from_slice(step.token_ids);
        self.logprobs.extend_from_slice(step.logprobs);
        self.text.push_str(step.text);
        if let Some(answer) = step.answer {
            self.answers.push((id, answer.to_owned()));
        }
        self.nodes.push(Node {
            value_sum: step.value_sum,
            visits: step.visits,
            prior: step.prior,
            value_estimate: step.value_estimate.unwrap_or(f32::NAN),
            reward: step.reward.unwrap_or(f32::NAN),
            parent: step.parent,
            first_child: 0,
            token_end,
            text_end,
            child_count: 0,
            depth,
            kind: step.kind,
            ending: step.ending,
        });
        Ok(NodeId(id))
    }
}
