//! The transformer itself: weights, their files, and the forward pass that gradients flow through.

mod attention;
mod checkpointed;
mod init;
mod lora;
#[cfg(test)]
mod tests;
mod value_head;

use crate::checkpoint::{VALUE_HEAD_FILE, WEIGHTS, read_folder, tensor_bytes, write_file};
use crate::names::{VALUE_HEAD, is_redundant, weights};
use crate::rope::Rope;
use crate::rows::rms_norm;
use crate::{ModelConfig, ModelError};
pub use checkpointed::Checkpointed;
use lora::Adapter;
use sha2::{Digest, Sha256};
use std::path::Path;
use tch::{Device, Kind, Reduction, Tensor};

/// Logits made at a time where only log-probabilities are wanted.
const LOGITS_AT_A_TIME: i64 = 1 << 24;

/// A linear map; weight [out, in], bias [out].
#[derive(Debug)]
pub(crate) struct Linear {
    pub weight: Tensor,
    pub bias: Option<Tensor>,
    adapter: Option<Adapter>,
}

impl Linear {
    fn apply(&self, x: &Tensor) -> Tensor {
        let y = x.linear(&self.weight, self.bias.as_ref());
        match &self.adapter {
            Some(adapter) => y + adapter.apply(x),
            None => y,
        }
    }
}

/// What all layers of one forward pass share.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Cosines and sines of the rotary positions, [B, T, 1, d]: the same for every head.
    turns: (Tensor, Tensor),
    mask: Tensor,
}

/// One layer's weights.
#[derive(Debug)]
pub(crate) struct Layer {
    pub attention_norm: Tensor,
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    /// Scales of the query and the key norm, [d] each.
    pub qk_norm: Option<(Tensor, Tensor)>,
    pub output: Linear,
    pub mlp_norm: Tensor,
    pub gate: Linear,
    pub up: Linear,
    pub down: Linear,
}

impl Linear {
    /// The same weights, without the adapter.
    fn shallow_clone(&self) -> Linear {
        let bias = self.bias.as_ref().map(Tensor::shallow_clone);
        Linear { weight: self.weight.shallow_clone(), bias, adapter: None }
    }
}

impl Layer {
    /// The same weights, without adapters.
    pub(crate) fn shallow_clone(&self) -> Layer {
        let norms = |(query, key): &(Tensor, Tensor)| (query.shallow_clone(), key.shallow_clone());
        Layer {
            attention_norm: self.attention_norm.shallow_clone(),
            query: self.query.shallow_clone(),
            key: self.key.shallow_clone(),
            value: self.value.shallow_clone(),
            qk_norm: self.qk_norm.as_ref().map(norms),
            output: self.output.shallow_clone(),
            mlp_norm: self.mlp_norm.shallow_clone(),
            gate: self.gate.shallow_clone(),
            up: self.up.shallow_clone(),
            down: self.down.shallow_clone(),
        }
    }
}

/// A decoder-only transformer with an optional value head.
///
/// The weights are named tensors under Hugging Face's names. Whoever changes one through [`parameters`](Self::parameters)
/// (in place, or by replacing its data) changes the model: nothing is kept that is derived from them. The model is
/// [`Send`], not [`Sync`]: one thread owns it.
#[derive(Debug)]
pub struct Transformer {
    pub(crate) config: ModelConfig,
    pub(crate) embedding: Tensor,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Tensor,
    pub(crate) head: Option<Tensor>,
    pub(crate) rope: Rope,
    value_head: Option<Tensor>,
    /// All weights, the same tensors as above.
    parameters: Vec<(String, Tensor)>,
    /// The adapters' tensors under PEFT's names.
    adapters: Vec<(String, Tensor)>,
    device: Device,
    kind: Kind,
}

impl Transformer {
    /// A fresh model, float32: normal with standard deviation 1 / sqrt(inputs), that of the projections back into the residual
    /// stream divided by sqrt(2 L) (GPT-2), norms 1, biases 0. The numbers come from a generator of the model's own, so that
    /// equal seeds give equal weights whatever else is random in the process. There is no value head.
    ///
    /// # Errors
    /// Names the field of `config` that makes no sense.
    pub fn init(config: &ModelConfig, seed: u64, device: Device) -> Result<Transformer, ModelError> {
        config.check()?;
        Ok(Transformer::assemble(config.clone(), init::weights(config, seed, device)?, device, Kind::Float))
    }

    /// Loads a Hugging Face folder: `config.json`, `model.safetensors` (or its shards), and `value_head.safetensors` if
    /// it is there. Weights are converted to `kind`; the value head is always float32.
    ///
    /// # Errors
    /// Names the file, the unsupported field, or the tensor that is missing, unexpected or of the wrong shape.
    pub fn load(folder: &Path, device: Device, kind: Kind) -> Result<Transformer, ModelError> {
        let config = ModelConfig::load(folder)?;
        let redundant = |name: &str| is_redundant(name, &config);
        let tensors = read_folder(folder, &weights(&config), redundant, device, kind)?;
        let mut model = Transformer::assemble(config, tensors, device, kind);
        model.load_value_head(folder)?;
        Ok(model)
    }

    /// Saves `config.json`, `model.safetensors` and, if there is one, `value_head.safetensors` into an existing folder,
    /// each by renaming a finished file. A value head's file of an earlier save that the model does not have is removed.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let data_type = match self.kind {
            Kind::BFloat16 => "bfloat16",
            Kind::Half => "float16",
            Kind::Double => "float64",
            _ => "float32",
        };
        write_file(&folder.join(WEIGHTS), self.parameters())?;
        let path = folder.join(VALUE_HEAD_FILE);
        match &self.value_head {
            Some(head) => write_file(&path, std::iter::once((VALUE_HEAD, head)))?,
            None => espalier_files::remove_file(&path)?,
        }
        self.config.save(folder, data_type)
    }

    /// Builds the model from its weights, in the order of [`weights`].
    fn assemble(config: ModelConfig, tensors: Vec<Tensor>, device: Device, kind: Kind) -> Transformer {
        let parameters: Vec<_> = weights(&config).into_iter().map(|(name, _)| name).zip(tensors).collect();
        let mut rest = parameters.iter();
        let mut next = || {
            let (_, tensor) = rest.next().expect("a weight for every name in `weights`");
            tensor.shallow_clone()
        };
        let embedding = next();
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for _ in 0..config.num_hidden_layers {
            let attention_norm = next();
            let mut linear = |bias: bool| Linear { weight: next(), bias: bias.then(&mut next), adapter: None };
            let query = linear(config.attention_bias);
            let key = linear(config.attention_bias);
            let value = linear(config.attention_bias);
            let qk_norm = config.qk_norm.then(|| (next(), next()));
            let output = Linear { weight: next(), bias: config.output_bias().then(&mut next), adapter: None };
            let mlp_norm = next();
            let mut linear = || Linear { weight: next(), bias: None, adapter: None };
            let (gate, up, down) = (linear(), linear(), linear());
            layers.push(Layer { attention_norm, query, key, value, qk_norm, output, mlp_norm, gate, up, down });
        }
        let norm = next();
        let head = (!config.tie_word_embeddings).then(&mut next);
        let rope = Rope::new(&config, device);
        Transformer {
            config,
            embedding,
            layers,
            norm,
            head,
            rope,
            value_head: None,
            parameters,
            adapters: Vec::new(),
            device,
            kind,
        }
    }

    /// The model's shape.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The weights' data type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The weights with their Hugging Face names, in the order of the forward pass; without the value head.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Tensor)> + Clone {
        self.parameters.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Converts all weights, in place: whoever holds one of [`parameters`](Self::parameters) sees the change.
    pub fn convert(&mut self, kind: Kind) -> Result<(), ModelError> {
        let _guard = tch::no_grad_guard();
        for (_, tensor) in self.parameters.iter_mut().chain(&mut self.adapters) {
            let converted = tensor.detach().f_to_kind(kind)?;
            tensor.f_set_data(&converted)?;
        }
        self.kind = kind;
        Ok(())
    }

    /// Makes the weights collect gradients, or stops them. Fresh and loaded models do not.
    pub fn set_trainable(&mut self, trainable: bool) {
        for (_, tensor) in &self.parameters {
            let _ = tensor.set_requires_grad(trainable);
        }
    }

    /// SHA-256 over names, data types, shapes and bytes of all weights and the value head, in hexadecimal.
    ///
    /// # Panics
    /// When LibTorch cannot copy a weight into main memory.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        let head = self.value_head.as_ref().map(|head| (VALUE_HEAD, head));
        for (name, tensor) in self.parameters().chain(head) {
            let bytes = tensor_bytes(tensor).expect("main memory for a copy of one weight");
            // Lengths before contents, so that no two models run into the same stream of bytes.
            hash.update(format!("{} {name} {:?} {:?} {}\n", name.len(), tensor.kind(), tensor.size(), bytes.len()));
            hash.update(&bytes);
        }
        hex::encode(hash.finalize())
    }

    /// The hidden states after the final norm, [B, T, H].
    ///
    /// `ids` and `positions` are [B, T], int64. `mask` is added to the attention scores: float32, [B, 1, T, T] or
    /// [1, 1, T, T], 0 where the column's token is visible to the row's, minus infinity elsewhere; every token must see
    /// at least one. The mask says all: causality, packing, and the model's sliding window if it has one.
    ///
    /// # Panics
    /// When shapes disagree or an id is not below V: the caller's mistake, not the data's.
    pub fn hidden(&self, ids: &Tensor, positions: &Tensor, mask: &Tensor) -> Tensor {
        let pass = self.pass(positions, mask);
        let x = self.layers.iter().fold(self.embed(ids), |x, layer| self.layer(layer, &x, &pass));
        self.final_norm(&x)
    }

    fn pass(&self, positions: &Tensor, mask: &Tensor) -> Pass {
        let (cosines, sines) = self.rope.turns(positions);
        let turns = (cosines.unsqueeze(2).to_kind(self.kind), sines.unsqueeze(2).to_kind(self.kind));
        Pass { turns, mask: mask.to_kind(self.kind) }
    }

    fn embed(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.embedding, ids, -1, false, false)
    }

    /// One layer of `x` [B, T, H].
    fn layer(&self, layer: &Layer, x: &Tensor, pass: &Pass) -> Tensor {
        let h = rms_norm(x, &layer.attention_norm, self.config.rms_norm_eps);
        let x = x + self.attend(layer, &h, &pass.turns, &pass.mask);
        let h = rms_norm(&x, &layer.mlp_norm, self.config.rms_norm_eps);
        // SwiGLU (arXiv:2002.05202).
        let inner = layer.gate.apply(&h).silu() * layer.up.apply(&h);
        &x + layer.down.apply(&inner)
    }

    fn final_norm(&self, x: &Tensor) -> Tensor {
        rms_norm(x, &self.norm, self.config.rms_norm_eps)
    }

    /// The matrix [V, H] that makes logits.
    pub(crate) fn unembedding(&self) -> &Tensor {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Logits [.., V] of final-norm hidden states [.., H].
    ///
    /// # Panics
    /// When the last dimension of `hidden` is not H.
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        hidden.linear(self.unembedding(), None::<&Tensor>)
    }

    /// log pi(target | before), `[M]`, float32, of `targets` `[M]` int64 at final-norm hidden states `[M, H]`. Gradients flow.
    ///
    /// Logits are made for a limited number of rows at a time. What stays for the backward pass is one number per row
    /// and vocabulary entry; without gradients nothing stays.
    ///
    /// # Panics
    /// When shapes disagree or a target is not below V.
    pub fn token_logprobs(&self, hidden: &Tensor, targets: &Tensor) -> Tensor {
        let rows = (LOGITS_AT_A_TIME / self.config.vocab_size as i64).max(1);
        let weight = self.unembedding();
        let parts: Vec<Tensor> = hidden
            .split(rows, 0)
            .iter()
            .zip(targets.split(rows, 0))
            .map(|(hidden, targets)| {
                let logits = hidden.linear(weight, None::<&Tensor>).to_kind(Kind::Float);
                -logits.cross_entropy_loss(&targets, None::<&Tensor>, Reduction::None, -100, 0.0)
            })
            .collect();
        Tensor::cat(&parts, 0)
    }
}
