//! From examples to the tensors of one forward pass.
//!
//! An example is a prompt and the steps below it: one for SFT, two for a pair, K for a list. Padded, each step is a row
//! after its own copy of the prompt. Packed, all examples of a tree are one row in which every distinct token stands
//! once (see [`forest`]), though a prompt be that of many pairs and a chosen step be in several of them:
//!
//! ```text
//!   row:        prompt prompt prompt  | chosen chosen | rejected rejected | padding
//!   position:     0      1      2     |   3      4    |    3        4     |   0
//!   sees:       itself and before     | prompt, chosen| prompt, rejected  | itself
//! ```
//!
//! The last token of a step predicts nothing that is trained, so it is not fed.

mod collator;
pub(crate) mod forest;
#[cfg(test)]
mod tests;

use crate::config::Layout;
use crate::order::by_length;
pub(crate) use collator::Collator;
use espalier_model::{Checkpointed, Transformer};
use forest::Forest;
use tch::{Device, Kind, Tensor};

/// Distinct tokens of one packed row at most. What a row saves grows with the tokens it shares, what its attention costs
/// with the square of its length.
const ROW_TOKENS: usize = 1024;

/// A prompt and the steps below it. Every step is not empty, and the prompt is not empty.
#[derive(Clone, Debug)]
pub(crate) struct PromptSteps<'a> {
    /// The tokens that all steps follow; they carry no loss.
    pub prompt: &'a [u32],
    /// Each step's tokens.
    pub steps: Vec<&'a [u32]>,
}

impl PromptSteps<'_> {
    /// Tokens fed below the prompt.
    fn below(&self) -> usize {
        self.steps.iter().map(|step| step.len() - 1).sum()
    }

    /// Tokens of padded rows that this example takes when it is alone.
    pub fn width(&self, layout: Layout) -> usize {
        match layout {
            Layout::Packed => self.prompt.len() + self.below(),
            Layout::Padded => {
                let longest = self.steps.iter().map(|step| step.len() - 1).max();
                self.steps.len() * (self.prompt.len() + longest.unwrap_or(0))
            }
        }
    }
}

/// Examples that share a row: those of one tree, packed; each alone, padded. Gives rows of indices into `examples`.
fn units(examples: &[PromptSteps], layout: Layout) -> Vec<Vec<usize>> {
    match layout {
        Layout::Padded => (0..examples.len()).map(|example| vec![example]).collect(),
        Layout::Packed => {
            let prompts: Vec<&[u32]> = examples.iter().map(|example| example.prompt).collect();
            let widths: Vec<usize> = examples.iter().map(PromptSteps::below).collect();
            forest::rows(&prompts, &widths, ROW_TOKENS)
        }
    }
}

/// Cuts the examples `rows` of a batch into micro-batches of one forward pass each: rows of like length whose tokens, with
/// their padding, are at most `max_tokens`, or one row.
fn micro_batches(examples: &[PromptSteps], rows: &[usize], layout: Layout, max_tokens: usize) -> Vec<Vec<usize>> {
    let chosen: Vec<PromptSteps> = rows.iter().map(|&row| examples[row].clone()).collect();
    let units = units(&chosen, layout);
    let width = |unit: usize| match layout {
        Layout::Padded => chosen[units[unit][0]].width(layout),
        Layout::Packed => pack(units[unit].iter().map(|&example| &chosen[example])).0.len(),
    };
    let widths: Vec<usize> = (0..units.len()).map(width).collect();
    let all: Vec<usize> = (0..units.len()).collect();
    by_length(&all, max_tokens, |unit| widths[unit])
        .into_iter()
        .map(|units_of| {
            units_of.into_iter().flat_map(|unit| units[unit].iter().map(|&example| rows[example])).collect()
        })
        .collect()
}

/// Examples in one row, and the edges of each step in turn.
fn pack<'a>(examples: impl Iterator<Item = &'a PromptSteps<'a>>) -> (Forest, Vec<Vec<usize>>) {
    let mut forest = Forest::default();
    let mut edges = Vec::new();
    for example in examples {
        edges.extend(example.steps.iter().map(|step| forest.insert(example.prompt, step)));
    }
    (forest, edges)
}

/// The tensors of one forward pass over S steps in B rows of T tokens, with E distinct predicted tokens that are M tokens
/// of the steps.
#[derive(Debug)]
pub(crate) struct Batch {
    /// `[B, T]`, int64.
    ids: Tensor,
    /// `[B, T]`, int64.
    positions: Tensor,
    /// Additive, float32; `[1, 1, T, T]` if all rows are plain sequences, else `[B, 1, T, T]`.
    mask: Tensor,
    /// Index of each predicting token among the B * T, `[E]`, int64.
    predictors: Tensor,
    /// The tokens predicted, `[E]`, int64.
    targets: Tensor,
    /// Which of the E each token of a step is, `[M]`, int64.
    edge_of: Tensor,
    /// The step that each of the M belongs to, `[M]`, int64.
    step_of: Tensor,
    /// S.
    steps: i64,
    /// Index among the M of the first token of each step, `[S]`.
    first_tokens: Vec<usize>,
    /// Distinct tokens fed, without padding.
    pub tokens: usize,
}

/// The mask of plain sequences: that of the longest so far, of which shorter ones are corners.
#[derive(Debug)]
pub(crate) struct Masks {
    /// Sliding window in tokens, if the model has one.
    window: Option<usize>,
    device: Device,
    causal: Option<Tensor>,
}

impl Masks {
    /// Masks for a model with this sliding window on this device.
    pub fn new(window: Option<usize>, device: Device) -> Masks {
        Masks { window, device, causal: None }
    }

    /// `[1, 1, T, T]`: 0 where j <= i and within the window, minus infinity elsewhere.
    pub fn causal(&mut self, tokens: usize) -> Tensor {
        let size = tokens as i64;
        let longest = match self.causal.take() {
            Some(mask) if mask.size()[3] >= size => mask,
            _ => {
                let mut values = vec![f32::NEG_INFINITY; tokens * tokens];
                for i in 0..tokens {
                    let first = self.window.map_or(0, |window| (i + 1).saturating_sub(window));
                    values[i * tokens + first..=i * tokens + i].fill(0.0);
                }
                Tensor::from_slice(&values).view([1, 1, size, size]).to_device(self.device)
            }
        };
        let corner = longest.narrow(2, 0, size).narrow(3, 0, size).contiguous();
        self.causal = Some(longest);
        corner
    }
}

/// The tokens that predict, over all rows, while a batch is laid out.
#[derive(Default)]
struct Targets {
    /// Row, index into the row, token predicted.
    edges: Vec<(usize, usize, i64)>,
    /// Edge, step.
    steps: Vec<(i64, i64)>,
}

impl Batch {
    /// Lays out `examples`; the S steps are numbered in the examples' order.
    pub fn new(examples: &[PromptSteps], layout: Layout, masks: &mut Masks) -> Batch {
        let first_step: Vec<usize> = examples
            .iter()
            .scan(0, |next, example| Some(std::mem::replace(next, *next + example.steps.len())))
            .collect();
        let (mut rows, mut targets) = (Vec::new(), Targets::default());
        for unit in units(examples, layout) {
            let steps = unit.iter().flat_map(|&g| (0..examples[g].steps.len()).map(move |s| (g, s)));
            match layout {
                Layout::Packed => {
                    let (forest, edges) = pack(unit.iter().map(|&example| &examples[example]));
                    let first = targets.edges.len();
                    let numbered = edges.iter().zip(steps).flat_map(|(edges, (g, s))| {
                        edges
                            .iter()
                            .map(|&edge| ((first + edge) as i64, (first_step[g] + s) as i64))
                            .collect::<Vec<_>>()
                    });
                    targets.steps.extend(numbered);
                    targets.edges.extend(forest.edges.iter().map(|&(from, to)| (rows.len(), from, to)));
                    rows.push(forest);
                }
                Layout::Padded => {
                    for (g, s) in steps {
                        let mut row = Forest::default();
                        row.insert(examples[g].prompt, examples[g].steps[s]);
                        for &(from, to) in &row.edges {
                            targets.steps.push((targets.edges.len() as i64, (first_step[g] + s) as i64));
                            targets.edges.push((rows.len(), from, to));
                        }
                        rows.push(row);
                    }
                }
            }
        }
        let steps = examples.iter().map(|example| example.steps.len()).sum();
        Batch::assemble(&rows, &targets, steps, masks)
    }

    /// Lays out whole sequences, one a row. The states of the last tokens before the offsets of each are wanted, see
    /// [`Batch::states`].
    pub fn of_states(sequences: &[(&[u32], &[u32])], masks: &mut Masks) -> Batch {
        let (mut rows, mut targets) = (Vec::new(), Targets::default());
        for (row, (ids, step_ends)) in sequences.iter().enumerate() {
            let mut forest = Forest::default();
            forest.insert_plain(ids);
            targets.edges.extend(step_ends.iter().map(|&end| (row, end as usize - 1, 0)));
            rows.push(forest);
        }
        Batch::assemble(&rows, &targets, 0, masks)
    }

    fn assemble(rows: &[Forest], targets: &Targets, steps: usize, masks: &mut Masks) -> Batch {
        let Masks { window, device, .. } = *masks;
        let width = rows.iter().map(Forest::len).max().unwrap_or(0);
        let (mut ids, mut positions) = (vec![0i64; rows.len() * width], vec![0i64; rows.len() * width]);
        for (b, row) in rows.iter().enumerate() {
            ids[b * width..b * width + row.len()].copy_from_slice(&row.ids);
            positions[b * width..b * width + row.len()].copy_from_slice(&row.positions);
        }
        let shape = [rows.len() as i64, width as i64];
        let mask = if rows.iter().all(Forest::is_plain) {
            // With right padding nothing that counts comes after a pad token, so the causal mask hides them all.
            masks.causal(width)
        } else {
            let mut values = vec![f32::NEG_INFINITY; rows.len() * width * width];
            for (row, square) in rows.iter().zip(values.chunks_exact_mut(width * width)) {
                row.mask(square, width, window);
            }
            Tensor::from_slice(&values).view([shape[0], 1, shape[1], shape[1]]).to_device(device)
        };
        let tensor = |values: Vec<i64>| Tensor::from_slice(&values).to_device(device);
        let mut first_tokens = vec![0; steps];
        // Backwards, so that a step's first token has the last word.
        for (token, &(_, step)) in targets.steps.iter().enumerate().rev() {
            first_tokens[step as usize] = token;
        }
        Batch {
            ids: tensor(ids).view(shape),
            positions: tensor(positions).view(shape),
            mask,
            predictors: tensor(targets.edges.iter().map(|&(row, from, _)| (row * width + from) as i64).collect()),
            targets: tensor(targets.edges.iter().map(|&(_, _, to)| to).collect()),
            edge_of: tensor(targets.steps.iter().map(|&(edge, _)| edge).collect()),
            step_of: tensor(targets.steps.iter().map(|&(_, step)| step).collect()),
            steps: steps as i64,
            first_tokens,
            tokens: rows.iter().map(Forest::len).sum(),
        }
    }

    /// The final-norm hidden state of each predicting token, `[E, H]`. With `checkpointing` the layers' graph is not kept,
    /// and what is needed to go back through them comes with the states.
    pub fn states(&self, model: &Transformer, checkpointing: bool) -> (Tensor, Option<Checkpointed>) {
        let (hidden, checkpointed) = if checkpointing {
            let (hidden, kept) = model.hidden_checkpointed(&self.ids, &self.positions, &self.mask);
            (hidden, Some(kept))
        } else {
            (model.hidden(&self.ids, &self.positions, &self.mask), None)
        };
        let width = hidden.size()[2];
        (hidden.view([-1, width]).index_select(0, &self.predictors), checkpointed)
    }

    /// log pi(token | before) of each token of the steps, `[M]`, float32, from the [`states`](Self::states).
    pub fn token_logprobs(&self, model: &Transformer, states: &Tensor) -> Tensor {
        // Logits only where a token is predicted, and once for each: [E, V] instead of [B, T, V].
        model.token_logprobs(states, &self.targets).index_select(0, &self.edge_of)
    }

    /// Index among the M of the first token of a step; its other tokens follow.
    pub fn first_token(&self, step: usize) -> usize {
        self.first_tokens[step]
    }

    /// log pi(token | before) of those among the M that `tokens` `[N]` says, `[N]`, float32, from the
    /// [`states`](Self::states).
    pub fn logprobs_of(&self, model: &Transformer, states: &Tensor, tokens: &Tensor) -> Tensor {
        let edges = self.edge_of.index_select(0, tokens);
        model.token_logprobs(&states.index_select(0, &edges), &self.targets.index_select(0, &edges))
    }

    /// The states that predict those among the M that `tokens` `[N]` says, `[N, H]`, from the [`states`](Self::states).
    pub fn states_of(&self, states: &Tensor, tokens: &Tensor) -> Tensor {
        states.index_select(0, &self.edge_of.index_select(0, tokens))
    }

    /// The sum of the states that predict each step's tokens, `[S, H]`, float32, without gradient; its direction is that
    /// of their mean.
    pub fn step_states(&self, states: &Tensor) -> Tensor {
        let states = states.detach().to_kind(Kind::Float).index_select(0, &self.edge_of);
        Tensor::zeros([self.steps, states.size()[1]], (Kind::Float, states.device())).index_add(
            0,
            &self.step_of,
            &states,
        )
    }

    /// log pi(step | prompt) of each step: the sum over its own tokens, `[S]`, float64, from the
    /// [`states`](Self::states).
    pub fn step_logprobs(&self, model: &Transformer, states: &Tensor) -> Tensor {
        let logprobs = self.token_logprobs(model, states).to_kind(Kind::Double);
        Tensor::zeros([self.steps], (Kind::Double, logprobs.device())).index_add(0, &self.step_of, &logprobs)
    }
}
