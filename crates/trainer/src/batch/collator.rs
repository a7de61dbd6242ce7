//! All examples of a training as prompts and steps, and the forward passes that are laid out of some of them.

use super::{Batch, Masks, PromptSteps, micro_batches, units};
use crate::TrainConfig;
use crate::config::Layout;
use crate::order::BatchOrder;
use espalier_model::Transformer;

/// N examples in the layout that a configuration asks for.
pub(crate) struct Collator<'a> {
    examples: Vec<PromptSteps<'a>>,
    layout: Layout,
    max_tokens: usize,
    masks: Masks,
}

impl<'a> Collator<'a> {
    /// The `examples` for passes of `model`.
    pub fn new(examples: Vec<PromptSteps<'a>>, model: &Transformer, config: &TrainConfig) -> Collator<'a> {
        let masks = Masks::new(model.config().sliding_window, model.device());
        Collator { examples, layout: config.layout, max_tokens: config.micro_batch_tokens, masks }
    }

    /// N.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Steps of each example, `[N]`.
    pub fn steps(&self) -> impl Iterator<Item = usize> {
        self.examples.iter().map(|example| example.steps.len())
    }

    /// Tokens of padded rows that each example takes when it is alone, `[N]`.
    pub fn widths(&self) -> Vec<usize> {
        self.examples.iter().map(|example| example.width(self.layout)).collect()
    }

    /// Batches in which examples that share a row stay together. `lengths` `[N]` are those by which they are sorted.
    pub fn order(&self, lengths: Vec<usize>, config: &TrainConfig) -> BatchOrder {
        BatchOrder::of_units(units(&self.examples, self.layout), lengths, config)
    }

    /// Cuts a batch into micro-batches of one forward pass each.
    pub fn micro_batches(&self, batch: &[usize]) -> Vec<Vec<usize>> {
        micro_batches(&self.examples, batch, self.layout, self.max_tokens)
    }

    /// Cuts all examples into micro-batches of one forward pass each.
    pub fn all(&self) -> Vec<Vec<usize>> {
        self.micro_batches(&(0..self.examples.len()).collect::<Vec<_>>())
    }

    /// The examples `rows` laid out for one forward pass.
    pub fn batch(&mut self, rows: &[usize]) -> Batch {
        let chosen: Vec<PromptSteps> = rows.iter().map(|&row| self.examples[row].clone()).collect();
        Batch::new(&chosen, self.layout, &mut self.masks)
    }
}
