//! From examples to the tensors of one forward pass.
//!
//! A *group* is a prompt and the steps below it: one for SFT, two for a pair, K for a list. Packed, a group is one row
//! and the prompt is read once:
//!
//! ```text
//!   row:        prompt prompt prompt  | chosen chosen | rejected rejected | padding
//!   position:     0      1      2     |   3      4    |    3        4     |   0
//!   sees:       itself and before     | prompt, chosen| prompt, rejected  | itself
//! ```
//!
//! The last token of a step predicts nothing that is trained, so it is not fed.

use crate::config::Layout;
use espalier_model::Transformer;
use tch::{Device, Kind, Tensor};

/// A prompt and the steps below it. Every step is not empty, and the prompt is not empty.
#[derive(Clone, Debug)]
pub(crate) struct Group<'a> {
    /// The tokens that all steps follow; they carry no loss.
    pub prompt: &'a [u32],
    /// Each step's tokens.
    pub steps: Vec<&'a [u32]>,
}

impl Group<'_> {
    /// Tokens of padded rows that this group takes: what it adds to a batch in which it is the widest.
    pub fn width(&self, layout: Layout) -> usize {
        let steps = self.steps.iter().map(|step| step.len() - 1);
        match layout {
            Layout::Packed => self.prompt.len() + steps.sum::<usize>(),
            Layout::Padded => self.steps.len() * (self.prompt.len() + steps.max().unwrap_or(0)),
        }
    }
}

/// One row of the input and the tokens that it predicts.
#[derive(Default)]
struct Row {
    ids: Vec<i64>,
    positions: Vec<i64>,
    /// 0 for the prompt, s for the row's s-th step.
    segments: Vec<u16>,
    /// Index into the row of the token that predicts, the token predicted, the step it belongs to (over all groups).
    targets: Vec<(usize, i64, i64)>,
}

impl Row {
    fn prompt(prompt: &[u32]) -> Row {
        let mut row = Row::default();
        row.extend(prompt, 0, 0);
        row
    }

    fn extend(&mut self, ids: &[u32], first_position: usize, segment: u16) {
        self.ids.extend(ids.iter().map(|&id| i64::from(id)));
        self.positions.extend((first_position..first_position + ids.len()).map(|p| p as i64));
        self.segments.extend(std::iter::repeat_n(segment, ids.len()));
    }

    fn step(&mut self, prompt_len: usize, ids: &[u32], segment: u16, step: usize) {
        let start = self.ids.len();
        for (j, &id) in ids.iter().enumerate() {
            let predictor = if j == 0 { prompt_len - 1 } else { start + j - 1 };
            self.targets.push((predictor, i64::from(id), step as i64));
        }
        self.extend(&ids[..ids.len() - 1], prompt_len, segment);
    }
}

/// The tensors of one forward pass over S steps in B rows of T tokens, with M predicted tokens.
#[derive(Debug)]
pub(crate) struct Batch {
    /// `[B, T]`, int64.
    ids: Tensor,
    /// `[B, T]`, int64.
    positions: Tensor,
    /// Additive, float32; `[1, 1, T, T]` if all rows are plain sequences, else `[B, 1, T, T]`.
    mask: Tensor,
    /// Index of each predicting token among the B * T, `[M]`, int64.
    predictors: Tensor,
    /// The tokens predicted, `[M]`, int64.
    targets: Tensor,
    /// The step that each predicted token belongs to, `[M]`, int64.
    step_of: Tensor,
    /// S.
    steps: i64,
    /// Tokens fed, without padding.
    pub tokens: usize,
}

/// The mask of plain sequences: that of the longest so far, of which shorter ones are corners.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    causal: Option<Tensor>,
}

impl Masks {
    /// `[1, 1, T, T]`: 0 where j <= i and within the window, minus infinity elsewhere. The window must always be the
    /// same.
    pub fn causal(&mut self, tokens: usize, window: Option<usize>, device: Device) -> Tensor {
        let size = tokens as i64;
        let longest = match self.causal.take() {
            Some(mask) if mask.size()[3] >= size => mask,
            _ => {
                let mut values = vec![f32::NEG_INFINITY; tokens * tokens];
                for i in 0..tokens {
                    let first = window.map_or(0, |window| (i + 1).saturating_sub(window));
                    values[i * tokens + first..=i * tokens + i].fill(0.0);
                }
                Tensor::from_slice(&values).view([1, 1, size, size]).to_device(device)
            }
        };
        let corner = longest.narrow(2, 0, size).narrow(3, 0, size).contiguous();
        self.causal = Some(longest);
        corner
    }
}

impl Batch {
    /// Lays out `groups`; the S steps are numbered in the groups' order. `window` is the model's sliding window.
    pub fn new(groups: &[Group], layout: Layout, window: Option<usize>, masks: &mut Masks, device: Device) -> Batch {
        let mut rows = Vec::new();
        let mut steps = 0;
        for group in groups {
            match layout {
                Layout::Packed => {
                    let mut row = Row::prompt(group.prompt);
                    for (s, ids) in group.steps.iter().enumerate() {
                        row.step(group.prompt.len(), ids, s as u16 + 1, steps + s);
                    }
                    rows.push(row);
                }
                Layout::Padded => rows.extend(group.steps.iter().enumerate().map(|(s, ids)| {
                    let mut row = Row::prompt(group.prompt);
                    row.step(group.prompt.len(), ids, 1, steps + s);
                    row
                })),
            }
            steps += group.steps.len();
        }
        let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let plain = rows.iter().all(|row| row.segments.last().is_none_or(|&last| last <= 1));
        // With right padding nothing that counts comes after a pad token, so the causal mask hides them all.
        let mask =
            if plain { masks.causal(width, window, device) } else { tree_mask(&rows, width, window).to_device(device) };
        Batch::assemble(&rows, width, steps, mask, device)
    }

    /// Lays out whole sequences, one a row, with the positions in each whose states are wanted, see
    /// [`Batch::states`].
    pub fn of_states(
        sequences: &[(&[u32], &[u32])],
        window: Option<usize>,
        masks: &mut Masks,
        device: Device,
    ) -> Batch {
        let rows: Vec<Row> = sequences
            .iter()
            .map(|(ids, ends)| {
                let mut row = Row::prompt(ids);
                row.targets.extend(ends.iter().map(|&end| (end as usize, 0, 0)));
                row
            })
            .collect();
        let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        Batch::assemble(&rows, width, 1, masks.causal(width, window, device), device)
    }

    fn assemble(rows: &[Row], width: usize, steps: usize, mask: Tensor, device: Device) -> Batch {
        let (mut ids, mut positions) = (vec![0i64; rows.len() * width], vec![0i64; rows.len() * width]);
        let (mut predictors, mut targets, mut step_of) = (Vec::new(), Vec::new(), Vec::new());
        for (b, row) in rows.iter().enumerate() {
            let start = b * width;
            ids[start..start + row.ids.len()].copy_from_slice(&row.ids);
            positions[start..start + row.ids.len()].copy_from_slice(&row.positions);
            for &(predictor, target, step) in &row.targets {
                predictors.push((start + predictor) as i64);
                targets.push(target);
                step_of.push(step);
            }
        }
        let shape = [rows.len() as i64, width as i64];
        let tensor = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        Batch {
            ids: tensor(&ids).view(shape),
            positions: tensor(&positions).view(shape),
            mask,
            predictors: tensor(&predictors),
            targets: tensor(&targets),
            step_of: tensor(&step_of),
            steps: steps as i64,
            tokens: rows.iter().map(|row| row.ids.len()).sum(),
        }
    }

    /// log pi(token | before) of each predicted token, `[M]`, float32.
    pub fn token_logprobs(&self, model: &Transformer) -> Tensor {
        // Logits only where a token is predicted: [M, V] instead of [B, T, V].
        model.token_logprobs(&self.states(model), &self.targets)
    }

    /// log pi(step | prompt) of each step: the sum over its own tokens, `[S]`, float64.
    pub fn step_logprobs(&self, model: &Transformer) -> Tensor {
        let logprobs = self.token_logprobs(model).to_kind(Kind::Double);
        Tensor::zeros([self.steps], (Kind::Double, logprobs.device())).index_add(0, &self.step_of, &logprobs)
    }

    /// The final-norm hidden state of each predicting token, `[M, H]`.
    pub fn states(&self, model: &Transformer) -> Tensor {
        let hidden = model.hidden(&self.ids, &self.positions, &self.mask);
        let width = hidden.size()[2];
        hidden.view([-1, width]).index_select(0, &self.predictors)
    }
}

/// `[B, 1, T, T]`: 0 where token j is visible to token i, minus infinity elsewhere. A step's token sees the prompt and its
/// own step up to itself, no sibling; a pad token sees itself, since a row without any visible token has no softmax.
fn tree_mask(rows: &[Row], width: usize, window: Option<usize>) -> Tensor {
    let mut values = vec![f32::NEG_INFINITY; rows.len() * width * width];
    for (row, square) in rows.iter().zip(values.chunks_exact_mut(width * width)) {
        let prompt_len = row.segments.iter().take_while(|&&segment| segment == 0).count();
        let mut step_start = 0;
        for (i, line) in square.chunks_exact_mut(width).enumerate() {
            if i >= row.ids.len() {
                line[i] = 0.0;
                continue;
            }
            if i == 0 || row.segments[i] != row.segments[i - 1] {
                step_start = i;
            }
            let first = window.map_or(0, |window| (row.positions[i] as usize + 1).saturating_sub(window));
            line[first.min(prompt_len)..prompt_len.min(i + 1)].fill(0.0);
            if i >= prompt_len {
                // Position p of the step lies at index step_start + p - prompt_len.
                let first = step_start + first.saturating_sub(prompt_len);
                line[first..=i].fill(0.0);
            }
        }
    }
    Tensor::from_slice(&values).view([rows.len() as i64, 1, width as i64, width as i64])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: [u32; 4] = [1, 2, 3, 4];
    const STEPS: [&[u32]; 3] = [&[5, 6, 7], &[8], &[9, 10]];

    fn batch(layout: Layout, window: Option<usize>) -> Batch {
        let groups = [
            Group { prompt: &PROMPT, steps: STEPS.to_vec() },
            Group { prompt: &PROMPT[..1], steps: vec![STEPS[2], STEPS[0]] },
        ];
        Batch::new(&groups, layout, window, &mut Masks::default(), Device::Cpu)
    }

    fn integers(tensor: &Tensor) -> Vec<i64> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn a_packed_group_is_one_row_that_leaves_out_what_predicts_nothing() {
        let batch = batch(Layout::Packed, None);
        // Steps of 3, 1 and 2 tokens feed 2, 0 and 1.
        assert_eq!(integers(&batch.ids.get(0)), [1, 2, 3, 4, 5, 6, 9]);
        assert_eq!(integers(&batch.positions.get(0)), [0, 1, 2, 3, 4, 5, 4]);
        assert_eq!(integers(&batch.ids.get(1)), [1, 9, 5, 6, 0, 0, 0]);
        // The prompt's last token predicts the first token of every step.
        assert_eq!(integers(&batch.predictors), [3, 4, 5, 3, 3, 6, 7, 8, 7, 9, 10]);
        assert_eq!(integers(&batch.targets), [5, 6, 7, 8, 9, 10, 9, 10, 5, 6, 7]);
        assert_eq!(integers(&batch.step_of), [0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4]);
        assert_eq!(batch.tokens, 7 + 4);
    }

    #[test]
    fn a_padded_group_is_a_row_a_step() {
        let batch = batch(Layout::Padded, None);
        assert_eq!(batch.ids.size(), [5, 6]);
        assert_eq!(batch.mask.size(), [1, 1, 6, 6]);
        assert_eq!(integers(&batch.ids.get(1)), [1, 2, 3, 4, 0, 0]);
        assert_eq!(integers(&batch.step_of), [0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4]);
        assert_eq!(batch.tokens, 6 + 4 + 5 + 2 + 3);
    }

    #[test]
    fn a_token_sees_the_prompt_and_its_own_step_within_the_window() {
        // Segments of the two rows; padding has none.
        let segments = [vec![0, 0, 0, 0, 1, 1, 3], vec![0, 1, 2, 2]];
        for window in [None, Some(1), Some(2), Some(3), Some(100)] {
            let batch = batch(Layout::Packed, window);
            for (b, segments) in segments.iter().enumerate() {
                let positions = integers(&batch.positions.get(b as i64));
                for i in 0..7 {
                    for j in 0..7 {
                        let fed = i < segments.len() && j < segments.len();
                        let related = fed && (segments[j] == 0 || segments[j] == segments[i]);
                        let distance = positions[i] - positions[j];
                        let near = distance >= 0 && window.is_none_or(|window| distance < window as i64);
                        let visible = if i < segments.len() { related && near } else { i == j };
                        let value = batch.mask.double_value(&[b as i64, 0, i as i64, j as i64]);
                        let expected = if visible { 0.0 } else { f64::NEG_INFINITY };
                        assert!(value == expected, "row {b}, window {window:?}: {i} sees {j} as {value}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_causal_mask_keeps_to_the_window() {
        let mut masks = Masks::default();
        let mut visible =
            |tokens| integers(&masks.causal(tokens, Some(2), Device::Cpu).isfinite().to_kind(Kind::Int64));
        assert_eq!(visible(2), [1, 0, 1, 1]);
        assert_eq!(visible(4), [1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1]);
        assert_eq!(visible(3), [1, 0, 0, 1, 1, 0, 0, 1, 1]);
    }
}
