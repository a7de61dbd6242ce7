//! Low-rank adapters on the linear maps (LoRA, arXiv:2106.09685), in the files of PEFT.
//!
//! ```text
//!   y = W x + s B A x        A [r, in], random     B [out, r], zero at first     s = alpha / r
//! ```

use super::{Layer, Linear, Transformer};
use crate::ModelError;
use crate::checkpoint::write_file;
use espalier_files::{publish_json, unit_interval};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;
use std::path::Path;
use tch::{Kind, Tensor};

/// The linear maps that can take an adapter, by Hugging Face's names.
const TARGETS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// The two small matrices beside a linear map's weight.
#[derive(Debug)]
pub(crate) struct Adapter {
    /// A, [r, in].
    down: Tensor,
    /// B, [out, r].
    up: Tensor,
    /// s.
    scale: f64,
}

impl Adapter {
    /// s B A x for `x` [.., in].
    pub fn apply(&self, x: &Tensor) -> Tensor {
        x.linear(&self.down, None::<&Tensor>).linear(&self.up, None::<&Tensor>) * self.scale
    }
}

impl Layer {
    fn linear(&mut self, target: &str) -> Option<(&'static str, &mut Linear)> {
        Some(match target {
            "q_proj" => ("self_attn.q_proj", &mut self.query),
            "k_proj" => ("self_attn.k_proj", &mut self.key),
            "v_proj" => ("self_attn.v_proj", &mut self.value),
            "o_proj" => ("self_attn.o_proj", &mut self.output),
            "gate_proj" => ("mlp.gate_proj", &mut self.gate),
            "up_proj" => ("mlp.up_proj", &mut self.up),
            "down_proj" => ("mlp.down_proj", &mut self.down),
            _ => return None,
        })
    }

    fn linears(&mut self) -> impl Iterator<Item = &mut Linear> {
        [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.output,
            &mut self.gate,
            &mut self.up,
            &mut self.down,
        ]
        .into_iter()
    }
}

impl Transformer {
    /// Puts an adapter of rank `rank` beside every linear map whose name is in `targets` (`q_proj`, ...), in every layer;
    /// the model computes what it did before. The training forward pass reads adapters; decoding does not:
    /// [`merge_adapters`](Self::merge_adapters) comes first.
    ///
    /// A is uniform in +-1 / sqrt(in), as PEFT's, from a generator of its own; B is zero.
    ///
    /// # Errors
    /// A rank of 0, no target, and a target that is no linear map.
    pub fn add_adapters(&mut self, rank: usize, alpha: f64, targets: &[String], seed: u64) -> Result<(), ModelError> {
        let unknown = targets.iter().find(|target| !TARGETS.contains(&target.as_str()));
        if let Some(target) = unknown {
            return Err(ModelError::Adapter(format!("{target:?} is no linear map; there are {}", TARGETS.join(", "))));
        }
        if rank == 0 || targets.is_empty() {
            return Err(ModelError::Adapter(format!("rank is {rank} and {} maps are named", targets.len())));
        }
        let (device, kind) = (self.device, self.kind);
        let mut added = Vec::new();
        for (index, layer) in self.layers.iter_mut().enumerate() {
            for (place, target) in TARGETS.iter().enumerate().filter(|(_, target)| targets.iter().any(|t| t == *target))
            {
                let Some((name, linear)) = layer.linear(target) else { continue };
                let (outputs, inputs) = linear.weight.size2()?;
                let mut generator = ChaCha8Rng::seed_from_u64(seed);
                generator.set_stream((index * TARGETS.len() + place) as u64);
                let bound = 1.0 / (inputs as f64).sqrt();
                let mut uniform = || (unit_interval(generator.next_u64()) * 2.0 - 1.0) * bound;
                let values: Vec<f32> = (0..rank as i64 * inputs).map(|_| uniform() as f32).collect();
                let down = Tensor::f_from_slice(&values)?.f_view([rank as i64, inputs])?.f_to_device(device)?;
                let down = down.f_to_kind(kind)?;
                let up = Tensor::f_zeros([outputs, rank as i64], (kind, device))?;
                let base = format!("base_model.model.model.layers.{index}.{name}");
                added.push((format!("{base}.lora_A.weight"), down.shallow_clone()));
                added.push((format!("{base}.lora_B.weight"), up.shallow_clone()));
                linear.adapter = Some(Adapter { down, up, scale: alpha / rank as f64 });
            }
        }
        self.adapters = added;
        Ok(())
    }

    /// The adapters' tensors under PEFT's names; none without adapters.
    pub fn adapters(&self) -> impl Iterator<Item = (&str, &Tensor)> + Clone {
        self.adapters.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Saves `adapter_config.json` and `adapter_model.safetensors` into an existing folder, as PEFT's `from_pretrained`
    /// reads them. `base` names the model that they belong to.
    pub fn save_adapters(
        &self,
        folder: &Path,
        base: &str,
        rank: usize,
        alpha: f64,
        targets: &[String],
    ) -> Result<(), ModelError> {
        write_file(&folder.join("adapter_model.safetensors"), self.adapters())?;
        let config = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base,
            "r": rank, "lora_alpha": alpha, "lora_dropout": 0.0, "target_modules": targets,
            "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "modules_to_save": null,
            "use_dora": false, "use_rslora": false,
        });
        Ok(publish_json(&folder.join("adapter_config.json"), &config)?)
    }

    /// Adds s B A to each weight and removes the adapters: the model computes the same without them.
    pub fn merge_adapters(&mut self) -> Result<(), ModelError> {
        let _guard = tch::no_grad_guard();
        for layer in &mut self.layers {
            for linear in layer.linears() {
                if let Some(Adapter { down, up, scale }) = linear.adapter.take() {
                    let change = up.f_to_kind(Kind::Float)?.f_matmul(&down.f_to_kind(Kind::Float)?)? * scale;
                    let merged = (linear.weight.f_to_kind(Kind::Float)? + change).f_to_kind(linear.weight.kind())?;
                    linear.weight.f_copy_(&merged)?;
                }
            }
        }
        self.adapters.clear();
        Ok(())
    }
}
