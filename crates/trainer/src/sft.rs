//! Supervised training: imitate whole paths.

use crate::batch::{Collator, PromptSteps};
use crate::fit::Trainer;
use crate::learner::{Learner, MicroBatchLoss};
use crate::order::BatchOrder;
use crate::run::TrainSummary;
use crate::{SftExample, TrainConfig, TrainerError, weights};
use espalier_model::Transformer;
use serde_json::Value;
use tch::Kind;

impl Trainer<'_> {
    /// Supervised training: each example's prompt is continued by the rest of its tokens.
    ///
    /// The loss of a batch is the mean of -log pi(token | before) over all its tokens after the prompts.
    ///
    /// # Errors
    /// When the configuration is out of range, when no example can be trained on, when a saved state is another
    /// training's, and when a loss is not finite.
    pub fn sft(mut self, data: &[SftExample]) -> Result<TrainSummary, TrainerError> {
        let usable = self.usable("sft", data, &Value::Null)?;
        let masters = weights::prepare(self.model, self.config)?;
        let sequences = usable.examples.iter().map(|example| {
            let (prompt, path) = example.ids.split_at(example.prompt_len.max(1));
            PromptSteps { prompt, steps: vec![path] }
        });
        let collator = Collator::new(sequences.collect(), self.model, self.config);
        let checkpointing = self.config.gradient_checkpointing;
        self.fit(&usable, masters, &mut Sft { examples: &usable.examples, collator, checkpointing })
    }
}

struct Sft<'a> {
    examples: &'a [&'a SftExample],
    collator: Collator<'a>,
    checkpointing: bool,
}

/// Tokens that carry a loss: all after the prompt, and never the very first.
fn learned(example: &SftExample) -> usize {
    example.ids.len() - example.prompt_len.max(1)
}

impl Learner for Sft<'_> {
    fn order(&self, config: &TrainConfig) -> BatchOrder {
        let lengths = self.examples.iter().map(|example| example.ids.len()).collect();
        BatchOrder::new(lengths, config)
    }

    fn micro_batches(&self, batch: &[usize]) -> Vec<Vec<usize>> {
        self.collator.micro_batches(batch)
    }

    fn loss(&mut self, model: &Transformer, batch: &[usize], rows: &[usize]) -> Result<MicroBatchLoss, TrainerError> {
        let input = self.collator.batch(rows);
        let all: usize = batch.iter().map(|&row| learned(self.examples[row])).sum();
        let (states, checkpointed) = input.states(model, self.checkpointing);
        let loss = -input.token_logprobs(model, &states).sum(Kind::Float) / all as f64;
        Ok(MicroBatchLoss { loss, tokens: input.tokens, checkpointed })
    }
}
