//! Decoding by LibTorch, on any device: whole products, and in each layer one call of attention for the rows that take one token
//! and one for the prefixes that are read.
//!
//! ```text
//!   keys of a layer   [slots, G, d]     a block is 16 slots
//!   a row's table     [S]               the slots of what it sees, filled up to the longest row's by its first
//!   keys[tables]      [rows, S, G, d]   gathered in one call, then attended to in one call
//! ```

use super::blocks::{Limit, Run};
use super::plan::{Calls, Plan};
use super::states::to_vec;
use super::{DecodeGroup, Pool, States};
use crate::rope::{Rope, turn};
use crate::rows::rms_norm;
use crate::transformer::{Layer, Linear};
use crate::{ModelConfig, ModelError, Transformer};
use espalier_kernels::BLOCK;
use tch::{Device, Kind, Tensor};

/// A model's weights as LibTorch's tensors, and those that hold keys and values.
#[derive(Debug)]
pub(super) struct Torch {
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    head: Tensor,
    /// Keys and values of each layer, [slots, G, d].
    kept: Vec<(Tensor, Tensor)>,
    rope: Rope,
    bytes: usize,
    device: Device,
    kind: Kind,
}

/// The rows of a pass that attend in one call: n rows of at most T new tokens, which see at most S tokens.
struct Batch {
    /// Places of the queries among all of the pass, [n T].
    queries: Tensor,
    /// [n S]
    slots: Tensor,
    /// [n, 1, T, S]: 0 where a query sees a token, minus infinity elsewhere.
    mask: Tensor,
    /// Which of the n T queries are none that fill up, and their places among all of the pass.
    kept: (Tensor, Tensor),
    rows: i64,
    tokens: i64,
    seen: i64,
}

impl Torch {
    pub fn new(model: &Transformer, budget_bytes: usize) -> Result<(Torch, Pool), ModelError> {
        let (config, device, kind) = (model.config(), model.device(), model.kind());
        let (heads, width) = (config.num_key_value_heads, config.head_dim);
        let numbers = 2 * config.num_hidden_layers * heads * width * BLOCK;
        let pool = Pool::new(Limit::Hard, numbers * kind.elt_size_in_bytes(), budget_bytes);
        let shape = [(pool.limit() * BLOCK) as i64, heads as i64, width as i64];
        let kept = (0..config.num_hidden_layers)
            .map(|_| Ok((Tensor::f_empty(shape, (kind, device))?, Tensor::f_empty(shape, (kind, device))?)))
            .collect::<Result<_, ModelError>>()?;
        let torch = Torch {
            embedding: model.embedding.shallow_clone(),
            layers: model.layers.iter().map(Layer::shallow_clone).collect(),
            norm: model.norm.shallow_clone(),
            head: model.unembedding().shallow_clone(),
            kept,
            rope: Rope::new(config, device),
            bytes: model.parameters().map(|(_, tensor)| tensor.numel() * kind.elt_size_in_bytes()).sum(),
            device,
            kind,
        };
        Ok((torch, pool))
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The hidden states of the `wanted` new tokens, of all if `None`.
    pub fn run(
        &self,
        config: &ModelConfig,
        plan: &Plan,
        calls: Calls,
        wanted: Option<&[usize]>,
    ) -> Result<States, ModelError> {
        if plan.ids.is_empty() {
            return Ok(States::device(Tensor::f_zeros([0, config.hidden_size as i64], (self.kind, self.device))?));
        }
        let eps = config.rms_norm_eps;
        let positions: Vec<i64> = plan.positions.iter().map(|&position| position as i64).collect();
        let (cosines, sines) = self.rope.turns(&self.indices(&positions)?);
        let turns = (cosines.f_unsqueeze(1)?.f_to_kind(self.kind)?, sines.f_unsqueeze(1)?.f_to_kind(self.kind)?);
        let slots: Vec<i64> = plan.targets.iter().map(|target| (target.place * BLOCK + target.token) as i64).collect();
        let slots = self.indices(&slots)?;
        let batches = self.batches(config, plan, calls)?;
        let ids: Vec<i64> = plan.ids.iter().map(|&id| i64::from(id)).collect();
        let mut x = self.embedding.f_index_select(0, &self.indices(&ids)?)?;
        for (layer, kept) in self.layers.iter().zip(&self.kept) {
            let h = rms_norm(&x, &layer.attention_norm, eps);
            x += attend(config, layer, kept, &h, &turns, &slots, &batches)?;
            let h = rms_norm(&x, &layer.mlp_norm, eps);
            x += apply(&layer.down, &(apply(&layer.gate, &h)?.f_silu()? * apply(&layer.up, &h)?))?;
        }
        if let Some(wanted) = wanted {
            let wanted: Vec<i64> = wanted.iter().map(|&row| row as i64).collect();
            x = x.f_index_select(0, &self.indices(&wanted)?)?;
        }
        Ok(States::device(rms_norm(&x, &self.norm, eps)))
    }

    /// Logits [N V] of hidden states [N, H].
    pub fn logits(&self, states: &Tensor) -> Result<Vec<f32>, ModelError> {
        to_vec(&states.f_linear(&self.head, None::<&Tensor>)?)
    }

    fn indices(&self, indices: &[i64]) -> Result<Tensor, ModelError> {
        Ok(Tensor::f_from_slice(indices)?.f_to_device(self.device)?)
    }

    /// The rows that take one token, and those that take more.
    fn batches(&self, config: &ModelConfig, plan: &Plan, calls: Calls) -> Result<Vec<Batch>, ModelError> {
        let rows = |single: bool| {
            let mut rows = Vec::new();
            for ((group, _), &(first, tokens)) in calls.iter().zip(&plan.calls) {
                if (tokens == 1) == single {
                    rows.extend(group.rows.iter().enumerate().map(|(row, own)| Sequence {
                        first: first + row * tokens,
                        tokens,
                        slots: slots(group, own),
                    }));
                }
            }
            rows
        };
        let both = [rows(true), rows(false)];
        both.iter().filter(|rows| !rows.is_empty()).map(|rows| self.batch(config, rows)).collect()
    }

    fn batch(&self, config: &ModelConfig, rows: &[Sequence]) -> Result<Batch, ModelError> {
        let tokens = rows.iter().map(|row| row.tokens).max().unwrap_or(0);
        let seen = rows.iter().map(|row| row.slots.len()).max().unwrap_or(0);
        let (mut queries, mut slots, mut kept) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
        let mut mask = vec![f32::NEG_INFINITY; rows.len() * tokens * seen];
        for (index, row) in rows.iter().enumerate() {
            slots.extend(&row.slots);
            slots.extend(vec![row.slots[0]; seen - row.slots.len()]);
            for token in 0..tokens {
                let line = &mut mask[(index * tokens + token) * seen..][..seen];
                if token >= row.tokens {
                    // What fills up must see something.
                    line[0] = 0.0;
                    queries.push(row.first as i64);
                    continue;
                }
                let end = row.slots.len() - row.tokens + token + 1;
                line[config.sliding_window.map_or(0, |window| end.saturating_sub(window))..end].fill(0.0);
                kept.0.push((index * tokens + token) as i64);
                kept.1.push((row.first + token) as i64);
                queries.push((row.first + token) as i64);
            }
        }
        let (rows, tokens, seen) = (rows.len() as i64, tokens as i64, seen as i64);
        let mask = Tensor::f_from_slice(&mask)?.f_view([rows, 1, tokens, seen])?;
        Ok(Batch {
            queries: self.indices(&queries)?,
            slots: self.indices(&slots)?,
            mask: mask.f_to_device(self.device)?.f_to_kind(self.kind)?,
            kept: (self.indices(&kept.0)?, self.indices(&kept.1)?),
            rows,
            tokens,
            seen,
        })
    }
}

/// A row of a pass.
struct Sequence {
    /// Its first new token among all of the pass.
    first: usize,
    tokens: usize,
    /// All that it sees, its new tokens last.
    slots: Vec<i64>,
}

fn apply(linear: &Linear, x: &Tensor) -> Result<Tensor, ModelError> {
    Ok(x.f_linear(&linear.weight, linear.bias.as_ref())?)
}

/// Attention of `h` [R, H] in one layer, the new keys and values kept.
fn attend(
    config: &ModelConfig,
    layer: &Layer,
    kept: &(Tensor, Tensor),
    h: &Tensor,
    turns: &(Tensor, Tensor),
    slots: &Tensor,
    batches: &[Batch],
) -> Result<Tensor, ModelError> {
    let (rows, width) = (h.size()[0], config.head_dim as i64);
    let heads = |x: Tensor| x.f_view([rows, -1, width]);
    let mut queries = heads(apply(&layer.query, h)?)?;
    let mut keys = heads(apply(&layer.key, h)?)?;
    let values = heads(apply(&layer.value, h)?)?;
    if let Some((query_norm, key_norm)) = &layer.qk_norm {
        queries = rms_norm(&queries, query_norm, config.rms_norm_eps);
        keys = rms_norm(&keys, key_norm, config.rms_norm_eps);
    }
    let queries = turn(&queries, &turns.0, &turns.1);
    let keys = turn(&keys, &turns.0, &turns.1);
    let _ = kept.0.shallow_clone().f_index_copy_(0, slots, &keys)?;
    let _ = kept.1.shallow_clone().f_index_copy_(0, slots, &values)?;
    let mut attended = Tensor::f_empty([rows, queries.size()[1] * width], (h.kind(), h.device()))?;
    for batch in batches {
        let of = |all: &Tensor, places: &Tensor, count: i64| {
            all.f_index_select(0, places)?.f_view([batch.rows, count, -1, width])?.f_transpose(1, 2)
        };
        let found = Tensor::f_scaled_dot_product_attention(
            &of(&queries, &batch.queries, batch.tokens)?,
            &of(&kept.0, &batch.slots, batch.seen)?,
            &of(&kept.1, &batch.slots, batch.seen)?,
            Some(&batch.mask),
            0.0,
            false,
            None,
            config.queries_per_key() > 1,
        )?;
        let found = found.f_transpose(1, 2)?.f_reshape([batch.rows * batch.tokens, -1])?;
        let _ = attended.f_index_copy_(0, &batch.kept.1, &found.f_index_select(0, &batch.kept.0)?)?;
    }
    apply(&layer.output, &attended)
}

/// The slots of the prefix and a row's own tokens.
fn slots(group: &DecodeGroup, own: &[Run]) -> Vec<i64> {
    let runs = group.prefix.iter().chain(own);
    runs.flat_map(|run| (run.start..run.end()).map(|token| (run.block.place * BLOCK + token) as i64)).collect()
}
