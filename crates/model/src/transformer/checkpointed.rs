//! Gradient checkpointing (arXiv:1604.06174): the forward pass keeps what enters each layer, and the backward pass
//! computes the rest of a layer again when it comes to it.
//!
//! ```text
//!   forward, no graph:   ids ─► x0 ─► layer 0 ─► x1 ─► ... ─► xL          x0 .. xL are kept
//!   loss, with graph:                                        xL ─► norm ─► loss
//!   backward:            dL/dxL by the loss; then layer by layer from the last: compute x_i+1 from x_i again, with its
//!                        graph, and go back through it
//! ```

use super::{Pass, Transformer};
use tch::{Kind, Tensor, no_grad};

/// What a checkpointed forward pass keeps for its backward pass.
#[derive(Debug)]
pub struct Checkpointed {
    pass: Pass,
    ids: Tensor,
    /// What enters each layer, `[B, T, H]`.
    inputs: Vec<Tensor>,
    /// What leaves the last layer, `[B, T, H]`: a leaf of the loss's graph.
    output: Tensor,
}

impl Transformer {
    /// As [`hidden`](Self::hidden), without the layers' graph. The loss's backward pass must be followed by
    /// [`backward`](Self::backward).
    pub fn hidden_checkpointed(&self, ids: &Tensor, positions: &Tensor, mask: &Tensor) -> (Tensor, Checkpointed) {
        let pass = self.pass(positions, mask);
        let mut inputs = Vec::with_capacity(self.layers.len());
        let output = no_grad(|| {
            let mut x = self.embed(ids);
            for layer in &self.layers {
                let next = self.layer(layer, &x, &pass);
                inputs.push(std::mem::replace(&mut x, next));
            }
            x
        });
        let output = output.set_requires_grad(true);
        let hidden = self.final_norm(&output);
        (hidden, Checkpointed { pass, ids: ids.shallow_clone(), inputs, output })
    }

    /// Carries the gradient that a backward pass left at the last layer's output to all weights that ask for one.
    pub fn backward(&self, checkpointed: Checkpointed) {
        let Checkpointed { pass, ids, mut inputs, output } = checkpointed;
        let mut gradient = output.grad();
        drop(output);
        for layer in self.layers.iter().rev() {
            let Some(input) = inputs.pop() else { return };
            let input = input.set_requires_grad(true);
            let output = self.layer(layer, &input, &pass);
            // The derivative of sum(y g) by y is g.
            (output * &gradient).sum(Kind::Float).backward();
            gradient = input.grad();
        }
        if self.embedding.requires_grad() {
            (self.embed(&ids) * &gradient).sum(Kind::Float).backward();
        }
    }
}
