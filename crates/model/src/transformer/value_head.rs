//! What values a state: one linear map of its hidden state, or an ensemble of several.

use super::Transformer;
use crate::ModelError;
use crate::checkpoint::{VALUE_HEAD_FILE, read_file, shape_in};
use crate::names::VALUE_HEAD;
use crate::rows::pointwise_each;
use std::path::Path;
use tch::{Kind, Tensor};

impl Transformer {
    /// w, `[H]`, or w_k, `[K, H]`, of an ensemble of K heads; float32, if the model has a value head.
    pub fn value_head(&self) -> Option<&Tensor> {
        self.value_head.as_ref()
    }

    /// K, 0 for a model without a value head.
    pub fn heads(&self) -> usize {
        match self.value_head().map(Tensor::size).as_deref() {
            None => 0,
            Some([heads, _]) => *heads as usize,
            Some(_) => 1,
        }
    }

    /// Replaces or removes the value head. It is kept in float32 on the model's device; an ensemble of one is one head.
    ///
    /// # Errors
    /// When its shape is neither `[H]` nor `[K, H]` with K at least 1.
    pub fn set_value_head(&mut self, head: Option<Tensor>) -> Result<(), ModelError> {
        let Some(head) = head else {
            self.value_head = None;
            return Ok(());
        };
        let wanted = wanted(&head.size(), self.config.hidden_size);
        if head.size() != wanted {
            return Err(ModelError::Shape { name: VALUE_HEAD.to_owned(), got: head.size(), wanted });
        }
        let head = if wanted[0] == 1 && wanted.len() == 2 { head.get(0) } else { head };
        self.value_head = Some(head.f_to_kind(Kind::Float)?.f_to_device(self.device)?);
        Ok(())
    }

    /// Takes the value head from the file beside a model's weights, if there is one.
    pub(super) fn load_value_head(&mut self, folder: &Path) -> Result<(), ModelError> {
        let path = folder.join(VALUE_HEAD_FILE);
        if !path.exists() {
            return Ok(());
        }
        let found = shape_in(&path, VALUE_HEAD)?.unwrap_or_default();
        let wanted = [(VALUE_HEAD.to_owned(), wanted(&found, self.config.hidden_size))];
        self.set_value_head(read_file(&path, &wanted, self.device, Kind::Float)?.pop())
    }

    /// V(s) = tanh(w . h), [..], float32, of final-norm hidden states [.., H]; of an ensemble the mean over its heads. A
    /// state's value depends on no other, bit for bit, in batches of any size.
    ///
    /// # Panics
    /// When the model has no value head.
    pub fn values(&self, hidden: &Tensor) -> Tensor {
        let values = self.head_values(hidden);
        if self.heads() == 1 { values.squeeze_dim(-1) } else { values.mean_dim(-1, false, Kind::Float) }
    }

    /// V_k(s) = tanh(w_k . h) of each head, [.., K], float32, of final-norm hidden states [.., H].
    ///
    /// # Panics
    /// When the model has no value head.
    pub fn head_values(&self, hidden: &Tensor) -> Tensor {
        let head = self.value_head.as_ref().expect("a model with a value head");
        let heads = head.view([-1, self.config.hidden_size as i64]);
        let scores = (hidden.to_kind(Kind::Float).unsqueeze(-2) * heads).sum_dim_intlist(-1, false, Kind::Float);
        pointwise_each(&scores, Tensor::f_tanh).expect("a shape that was split can be joined")
    }
}

/// The shape that a head of the shape `found` must have.
fn wanted(found: &[i64], hidden_size: usize) -> Vec<i64> {
    match *found {
        [heads, _] if heads > 0 => vec![heads, hidden_size as i64],
        _ => vec![hidden_size as i64],
    }
}
