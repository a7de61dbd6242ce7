//! Rebuilding a stored tree node by node, with everything that is wrong in the stored form reported and nothing trusted.

use super::{Ending, Kind, NewStep, NodeId, Tree};

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
    pub(crate) fn restore_step(&mut self, stored: &StoredStep) -> Result<NodeId, &'static str> {
        let StoredStep { parent, kind, ending, text, token_ids, logprobs, prior, reward, answer, .. } = *stored;
        if kind == Kind::Root {
            return Err("a node below the root has the kind root");
        }
        let step = NewStep { kind, text, token_ids, logprobs, prior, ending, reward, answer };
        let id = self.try_append(parent, &step)?;
        let node = &mut self.nodes[id.index()];
        (node.visits, node.value_sum) = (stored.visits, stored.value_sum);
        node.value_estimate = stored.value_estimate.unwrap_or(f32::NAN);
        Ok(id)
    }
}
