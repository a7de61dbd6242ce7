//! Attention in the training forward pass.

use super::{Layer, Transformer};
use crate::rope::turn;
use crate::rows::rms_norm;
use tch::Tensor;

impl Transformer {
    /// Attention of `h` [B, T, H]: grouped queries (arXiv:2305.13245), rotary positions.
    pub(super) fn attend(&self, layer: &Layer, h: &Tensor, turns: &(Tensor, Tensor), mask: &Tensor) -> Tensor {
        let (batch, tokens) = (h.size()[0], h.size()[1]);
        let width = self.config.head_dim as i64;
        // [B, T, heads * d] to [B, T, heads, d].
        let heads = |x: Tensor| x.view([batch, tokens, -1, width]);
        let mut queries = heads(layer.query.apply(h));
        let mut keys = heads(layer.key.apply(h));
        let values = heads(layer.value.apply(h)).transpose(1, 2);
        if let Some((query_norm, key_norm)) = &layer.qk_norm {
            queries = rms_norm(&queries, query_norm, self.config.rms_norm_eps);
            keys = rms_norm(&keys, key_norm, self.config.rms_norm_eps);
        }
        let queries = turn(&queries, &turns.0, &turns.1).transpose(1, 2);
        let keys = turn(&keys, &turns.0, &turns.1).transpose(1, 2);
        let shared = self.config.queries_per_key() > 1;
        let attended =
            Tensor::scaled_dot_product_attention(&queries, &keys, &values, Some(mask), 0.0, false, None, shared);
        layer.output.apply(&attended.transpose(1, 2).reshape([batch, tokens, -1]))
    }
}
