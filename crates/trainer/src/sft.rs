//! Supervised training: imitate whole paths.

use crate::batch::{Batch, Group, Masks, parts};
use crate::metrics::{Numbers, Observer};
use crate::optimizer::AdamW;
use crate::order::Plan;
use crate::run::{Part, Run, Stage, TrainSummary};
use crate::start::{self, Start, Trained};
use crate::{SftExample, TrainConfig, TrainerError};
use espalier_model::Transformer;
use serde_json::Value;
use std::path::Path;
use tch::Kind;

/// Trains `model` to continue each example's prompt by the rest of its tokens.
///
/// The loss of a batch is the mean of -log pi(token | before) over all its tokens after the prompts. Metrics and the
/// state to resume from go to `folder`; a call that was interrupted continues when it is repeated, and ends with the
/// same bits. Examples that cannot be trained on are skipped and listed.
pub fn train_sft(
    model: &mut Transformer,
    data: &[SftExample],
    config: &TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainerError> {
    config.check()?;
    let Start { rows, skipped, identity } = start::begin("sft", model, data, config, &Value::Null, folder)?;
    start::prepare(model, config)?;
    let mut optimizer = AdamW::new(&start::parameters(model, config)?, config)?;
    let examples: Vec<&SftExample> = rows.iter().map(|&row| &data[row]).collect();
    let groups: Vec<Group> = examples
        .iter()
        .map(|example| {
            let (prompt, path) = example.ids.split_at(example.prompt_len.max(1));
            Group { prompt, steps: vec![path] }
        })
        .collect();
    let plan = Plan::new(
        examples.iter().map(|e| e.ids.len()).collect(),
        config.batch_size,
        config.seed,
        config.order.unwrap_or_default(),
    );
    let mut stage = Sft { trained: Trained::new(model), examples, groups, rows, config, masks: Masks::default() };
    let run = Run { config, plan, folder, identity, observer };
    let summary = run.train(&mut stage, &mut optimizer)?;
    drop(optimizer);
    start::finish(model, config, folder)?;
    Ok(TrainSummary { skipped, ..summary })
}

struct Sft<'a> {
    trained: Trained<'a>,
    examples: Vec<&'a SftExample>,
    /// Prompt and path of each example.
    groups: Vec<Group<'a>>,
    /// Index of each example among those given.
    rows: Vec<usize>,
    config: &'a TrainConfig,
    masks: Masks,
}

/// Tokens that carry a loss: all after the prompt, and never the very first.
fn learned(example: &SftExample) -> usize {
    example.ids.len() - example.prompt_len.max(1)
}

impl Stage for Sft<'_> {
    fn parts(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        parts(&self.groups, rows, self.config.layout, self.config.micro_batch_tokens)
    }

    fn loss(&mut self, batch: &[usize], rows: &[usize]) -> Result<Part, TrainerError> {
        let groups: Vec<Group> = rows.iter().map(|&row| self.groups[row].clone()).collect();
        let Trained { model, window, device } = self.trained;
        let input = Batch::new(&groups, self.config.layout, window, &mut self.masks, device);
        let all: usize = batch.iter().map(|&row| learned(self.examples[row])).sum();
        let (states, checkpointed) = input.states(model, self.config.gradient_checkpointing);
        let loss = -input.token_logprobs(model, &states).sum(Kind::Float) / all as f64;
        Ok(Part { loss, tokens: input.tokens, checkpointed })
    }

    fn model(&self) -> Option<&Transformer> {
        Some(self.trained.model)
    }

    fn take_numbers(&mut self) -> Numbers {
        Vec::new()
    }

    fn examples(&self, rows: &[usize]) -> Vec<Value> {
        rows.iter().map(|&row| start::example_json(self.rows[row], self.examples[row])).collect()
    }
}
