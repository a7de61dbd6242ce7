//! One pass of new tokens through the model.

use super::DecodeGroup;
use crate::rope::turn;
use crate::rows::rms_norm;
use crate::transformer::{Layer, Linear};
use crate::{ModelError, Transformer};
use tch::{Device, Kind, Tensor};

/// A group's part of one pass.
struct Part<'a> {
    group: &'a mut DecodeGroup,
    /// T, new tokens of each row.
    tokens: usize,
    /// Its first row among all rows of the pass.
    first: usize,
    /// The first place of the prefix that any new token sees.
    seen_from: usize,
    /// Added to the scores, [T, 1, tokens seen]; `None` if all that is kept is visible to all new tokens.
    mask: Option<Tensor>,
}

impl Transformer {
    /// Runs new tokens through the model, appends their keys and values to their groups, and returns the final-norm
    /// hidden state of the last new token of each row of all groups, [sum of K, H].
    ///
    /// The ids of a group are [K, T] row by row: T = 1 where siblings are sampled, K = 1 and any T where a prefix is
    /// read. No gradient flows. In the batch-invariant mode (the default) a row's bits depend on its own group only: on
    /// the group's prefix, rows and the lengths of its passes, not on the other groups of any pass.
    ///
    /// # Errors
    /// Ids outside the vocabulary, no whole number of tokens for each row, no room left. Nothing was appended then.
    pub fn extend(&self, groups: &mut [(&mut DecodeGroup, &[u32])]) -> Result<Tensor, ModelError> {
        let _guard = tch::no_grad_guard();
        let (hidden, last) = self.run(groups)?;
        Ok(hidden.f_index_select(0, &last)?)
    }

    /// As [`extend`](Self::extend), but returns the hidden state of every new token, in the order of the ids.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn extend_all(&self, groups: &mut [(&mut DecodeGroup, &[u32])]) -> Result<Tensor, ModelError> {
        let _guard = tch::no_grad_guard();
        let rows: usize = groups.iter().map(|(_, ids)| ids.len()).sum();
        Ok(self.run(groups)?.0.f_narrow(0, 0, rows as i64)?)
    }

    /// The hidden states of all rows of the pass, filling included, and which of them belong to a row's last new token.
    fn run(&self, groups: &mut [(&mut DecodeGroup, &[u32])]) -> Result<(Tensor, Tensor), ModelError> {
        let mut pass = Pass::new(self, groups)?;
        if pass.rows == 0 {
            let none = Tensor::f_empty([0, self.config.hidden_size as i64], (self.kind(), self.device()))?;
            return Ok((none, pass.last));
        }
        let mut x = self.embedding.f_index_select(0, &pass.ids)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let h = rms_norm(&x, &layer.attention_norm, self.config.rms_norm_eps);
            x += self.attend_groups(index, layer, &h, &pass)?;
            let h = rms_norm(&x, &layer.mlp_norm, self.config.rms_norm_eps);
            let gate = self.mode.pointwise(&self.rows(&layer.gate, &h)?, Tensor::f_silu)?;
            x += self.rows(&layer.down, &(gate * self.rows(&layer.up, &h)?))?;
        }
        let hidden = rms_norm(&x, &self.norm, self.config.rms_norm_eps);
        for part in &mut pass.parts {
            part.group.used += part.tokens;
        }
        Ok((hidden, pass.last))
    }

    fn rows(&self, linear: &Linear, x: &Tensor) -> Result<Tensor, ModelError> {
        self.mode.linear(x, &linear.weight, linear.bias.as_ref())
    }

    /// Attention of `h` [R, H] in layer `index`; each group's rows see their own tokens and the group's prefix.
    fn attend_groups(&self, index: usize, layer: &Layer, h: &Tensor, pass: &Pass) -> Result<Tensor, ModelError> {
        let width = self.config.head_dim as i64;
        let rows = h.size()[0];
        let heads = |x: Tensor| x.f_view([rows, -1, width]);
        let mut queries = heads(self.rows(&layer.query, h)?)?;
        let mut keys = heads(self.rows(&layer.key, h)?)?;
        let values = heads(self.rows(&layer.value, h)?)?;
        if let Some((query_norm, key_norm)) = &layer.qk_norm {
            queries = rms_norm(&queries, query_norm, self.config.rms_norm_eps);
            keys = rms_norm(&keys, key_norm, self.config.rms_norm_eps);
        }
        let queries = turn(&queries, &pass.turns.0, &pass.turns.1);
        let keys = turn(&keys, &pass.turns.0, &pass.turns.1);
        for part in &pass.parts {
            let count = (part.group.rows * part.tokens) as i64;
            let own = |x: &Tensor| x.f_narrow(0, part.first as i64, count);
            let attended = part.attend(index, &own(&queries)?, &own(&keys)?, &own(&values)?)?;
            own(&pass.attended)?.f_view(attended.size().as_slice())?.f_copy_(&attended)?;
        }
        self.rows(&layer.output, &pass.attended)
    }
}

/// All groups' new tokens, R in all; in the batch-invariant mode R is filled up to whole blocks.
struct Pass<'a> {
    parts: Vec<Part<'a>>,
    /// R without filling.
    rows: usize,
    /// [R], int64.
    ids: Tensor,
    /// Cosines and signed sines of the positions, [R, 1, d].
    turns: (Tensor, Tensor),
    /// Index of the last new token of each row of each group, [sum of K], int64.
    last: Tensor,
    /// Where a layer's attention is gathered, [R, heads * d]; what fills blocks up stays zero.
    attended: Tensor,
}

impl<'a> Pass<'a> {
    fn new(model: &Transformer, groups: &'a mut [(&mut DecodeGroup, &[u32])]) -> Result<Pass<'a>, ModelError> {
        let (config, device) = (model.config(), model.device());
        let (mut ids, mut positions, mut last, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (group, new) in groups.iter_mut() {
            let tokens = new.len() / group.rows;
            if tokens * group.rows != new.len() || tokens == 0 || group.used + tokens > group.capacity {
                let (rows, used, capacity) = (group.rows, group.used, group.capacity);
                return Err(ModelError::Group { tokens: new.len(), rows, used, capacity });
            }
            if let Some(&id) = new.iter().find(|&&id| id as usize >= config.vocab_size) {
                return Err(ModelError::Token { id, vocab_size: config.vocab_size });
            }
            group.reserve(tokens)?;
            let first = ids.len();
            let start = group.prefix_len + group.used;
            ids.extend(new.iter().map(|&id| i64::from(id)));
            for _ in 0..group.rows {
                positions.extend(start..start + tokens);
                last.push(positions.len() as i64 - 1);
            }
            let seen_from = config.sliding_window.map_or(0, |window| (start + 1).saturating_sub(window));
            let mask = (tokens > 1)
                .then(|| causal_mask(start, tokens, seen_from, config.sliding_window, model.kind(), device))
                .transpose()?;
            parts.push(Part { group, tokens, first, seen_from, mask });
        }
        let rows = ids.len();
        let padded = model.mode.padded(rows);
        ids.resize(padded, 0);
        positions.resize(padded, 0);
        let (cosines, sines) = model.rope.turns_at(&positions)?;
        let turns = |x: Tensor| x.f_unsqueeze(1)?.f_to_kind(model.kind());
        let width = (config.num_attention_heads * config.head_dim) as i64;
        Ok(Pass {
            parts,
            rows,
            ids: Tensor::f_from_slice(&ids)?.f_to_device(device)?,
            turns: (turns(cosines)?, turns(sines)?),
            last: Tensor::f_from_slice(&last)?.f_to_device(device)?,
            attended: Tensor::f_zeros([padded as i64, width], (model.kind(), device))?,
        })
    }
}

/// [T, 1, start + T - seen_from]: 0 where a place is visible to a new token, minus infinity elsewhere.
fn causal_mask(
    start: usize,
    tokens: usize,
    seen_from: usize,
    window: Option<usize>,
    kind: Kind,
    device: Device,
) -> Result<Tensor, ModelError> {
    let width = start + tokens - seen_from;
    let mut values = vec![f32::NEG_INFINITY; tokens * width];
    for (row, line) in values.chunks_exact_mut(width).enumerate() {
        let position = start + row;
        let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
        line[first.max(seen_from) - seen_from..=position - seen_from].fill(0.0);
    }
    let mask = Tensor::f_from_slice(&values)?.f_view([tokens as i64, 1, width as i64])?;
    Ok(mask.f_to_kind(kind)?.f_to_device(device)?)
}

impl Part<'_> {
    /// Attention in one layer: queries [K T, heads, d], keys and values [K T, key heads, d] of the new tokens; returns
    /// [K, T, key heads, queries of one key head, d].
    ///
    /// Letters of the shapes below: G key heads, Q queries of one key head, P prefix tokens seen, U row tokens seen.
    fn attend(&self, layer: usize, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor, ModelError> {
        let (k, t) = (self.group.rows as i64, self.tokens as i64);
        let (g, d) = (keys.size()[1], keys.size()[2]);
        let q = queries.size()[1] / g;
        let suffix = &self.group.layers[layer];
        let used = self.group.used as i64;
        for (place, new) in [(&suffix.keys, keys), (&suffix.values, values)] {
            place.f_narrow(2, used, t)?.f_copy_(&new.f_view([k, t, g, d])?.f_permute([2, 0, 1, 3])?)?;
        }

        // [G, K, T, Q, d]. The product with the scale also gives the queries memory of their own, whose alignment does
        // not depend on the group's place in the pass.
        let scale = 1.0 / (d as f64).sqrt();
        let queries = queries.f_view([k, t, g, q, d])?.f_permute([2, 0, 1, 3, 4])?.f_mul_scalar(scale)?;
        let queries = queries.f_reshape([g * k, t * q, d])?;

        let prefix_from = self.seen_from.min(self.group.prefix_len);
        let suffix_from = (self.seen_from - prefix_from) as i64;
        let prefix_seen = (self.group.prefix_len - prefix_from) as i64;
        let suffix_seen = used + t - suffix_from;
        let own = |all: &Tensor| all.f_narrow(1, suffix_from, suffix_seen);
        let shared = |all: &Tensor| all.f_narrow(1, prefix_from as i64, prefix_seen);

        // [G K, T Q, U]; with a prefix [G K, T Q, P + U].
        let mut scores = queries.f_bmm(&own(&suffix.flat_keys)?.f_transpose(1, 2)?)?;
        let prefix = self.group.prefix.get(layer).filter(|_| prefix_seen > 0);
        if let Some((prefix_keys, _)) = prefix {
            // One product for all siblings: [G, K T Q, d] by [G, d, P].
            let all = queries.f_view([g, k * t * q, d])?.f_bmm(&shared(prefix_keys)?.f_transpose(1, 2)?)?;
            scores = Tensor::f_cat(&[all.f_view([g * k, t * q, prefix_seen])?, scores], 2)?;
        }
        let seen = prefix_seen + suffix_seen;
        if let Some(mask) = &self.mask {
            scores = (scores.f_view([g * k, t, q, seen])?.f_add(mask)?).f_view([g * k, t * q, seen])?;
        }
        let shares = scores.f_softmax(-1, Kind::Float)?.f_to_kind(keys.kind())?;
        let mut attended = shares.f_narrow(2, prefix_seen, suffix_seen)?.f_bmm(&own(&suffix.flat_values)?)?;
        if let Some((_, prefix_values)) = prefix {
            let all = shares.f_view([g, k * t * q, seen])?.f_narrow(2, 0, prefix_seen)?;
            attended += all.f_bmm(&shared(prefix_values)?)?.f_view([g * k, t * q, d])?;
        }
        Ok(attended.f_view([g, k, t, q, d])?.f_permute([1, 2, 0, 3, 4])?)
    }
}
