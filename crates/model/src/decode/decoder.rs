//! A model made ready for decoding.

use super::device::Torch;
use super::host::Host;
use super::plan::{Calls, Plan};
use super::states::Numbers;
use super::{Pool, States};
use crate::{ModelConfig, ModelError, Transformer};
use tch::Device;

/// What is promised of the last bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numerics {
    /// A token's numbers have the same bits whatever else is computed beside them, in whatever pieces the text before it was
    /// read, for any number of threads. By kernels of this project, on the processor only.
    Invariant,
    /// By whole products of LibTorch; the last bits depend on the batch.
    Fast,
}

impl Numerics {
    /// The default of a device.
    pub fn of(device: Device) -> Numerics {
        if device == Device::Cpu { Numerics::Invariant } else { Numerics::Fast }
    }
}

/// A model's weights in the form that decoding reads, and the pool of its keys and values.
///
/// The weights are those that the model had: a later change of the model is not seen.
#[derive(Debug)]
pub struct Decoder {
    config: ModelConfig,
    weights: Weights,
    pool: Pool,
    /// [K H], float32; empty for a model without a value head.
    value_heads: Vec<f32>,
}

#[derive(Debug)]
enum Weights {
    Host(Box<Host>),
    Torch(Box<Torch>),
}

impl Decoder {
    /// Prepares a model whose keys and values may take `budget_bytes`.
    ///
    /// # Errors
    /// [`ModelError::Numerics`] for invariant numerics on another device than the processor; what LibTorch says.
    pub fn new(model: &Transformer, numerics: Numerics, budget_bytes: usize) -> Result<Decoder, ModelError> {
        let _guard = tch::no_grad_guard();
        let (weights, pool) = match numerics {
            Numerics::Invariant if model.device() != Device::Cpu => {
                return Err(ModelError::Numerics { device: format!("{:?}", model.device()) });
            }
            Numerics::Invariant => {
                let (host, pool) = Host::new(model, budget_bytes)?;
                (Weights::Host(host.into()), pool)
            }
            Numerics::Fast => {
                let (torch, pool) = Torch::new(model, budget_bytes)?;
                (Weights::Torch(torch.into()), pool)
            }
        };
        let value_heads = model.value_head().map(super::states::to_vec).transpose()?.unwrap_or_default();
        Ok(Decoder { config: model.config().clone(), weights, pool, value_heads })
    }

    /// The model's shape.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where keys and values lie.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Whether the model has a value head.
    pub fn has_value_head(&self) -> bool {
        !self.value_heads.is_empty()
    }

    /// Bytes of the weights.
    pub fn weight_bytes(&self) -> usize {
        match &self.weights {
            Weights::Host(host) => host.bytes(),
            Weights::Torch(torch) => torch.bytes(),
        }
    }

    /// Runs new tokens through the model, adds their keys and values to their groups, and returns the final-norm hidden
    /// state of the last new token of each row of all groups, [sum of K, H].
    ///
    /// The ids of a group are [K, T] row by row: T = 1 where siblings are sampled, K = 1 and any T where a prefix is read.
    ///
    /// # Errors
    /// Ids outside the vocabulary, no whole number of tokens for each row, no room left, no block left: nothing was changed
    /// then. After an error of LibTorch the groups are to be dropped.
    pub fn extend(&mut self, calls: Calls) -> Result<States, ModelError> {
        self.run(calls, true)
    }

    /// As [`extend`](Self::extend), but returns the hidden state of every new token, in the order of the ids.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn extend_all(&mut self, calls: Calls) -> Result<States, ModelError> {
        self.run(calls, false)
    }

    fn run(&mut self, calls: Calls, only_last: bool) -> Result<States, ModelError> {
        let _guard = tch::no_grad_guard();
        let plan = Plan::new(&self.config, &self.pool, calls)?;
        let wanted = only_last.then_some(plan.last.as_slice());
        let states = match &mut self.weights {
            Weights::Host(host) => host.run(&self.config, &plan, calls, wanted),
            Weights::Torch(torch) => torch.run(&self.config, &plan, calls, wanted)?,
        };
        Plan::finish(calls);
        Ok(states)
    }

    /// Logits [N V], float32, in main memory.
    ///
    /// # Errors
    /// What LibTorch says of a device.
    pub fn logits(&self, states: &States) -> Result<Vec<f32>, ModelError> {
        let _guard = tch::no_grad_guard();
        match (&self.weights, &states.numbers) {
            (Weights::Host(host), Numbers::Host(numbers)) => Ok(host.logits(numbers)),
            (Weights::Torch(torch), Numbers::Device(tensor)) => torch.logits(tensor),
            _ => Err(ModelError::ForeignSegment),
        }
    }

    /// K, 0 for a model without a value head.
    pub fn heads(&self) -> usize {
        self.value_heads.len() / self.config.hidden_size
    }

    /// V(s) = tanh(w . h), `[N]`, of an ensemble the mean over its heads; empty for a model without a value head. A state's
    /// value depends on no other, bit for bit.
    ///
    /// # Errors
    /// What LibTorch says of a device.
    pub fn values(&self, states: &States) -> Result<Vec<f32>, ModelError> {
        let mean = |heads: &[f64]| heads.iter().sum::<f64>() / heads.len() as f64;
        let values = self.head_values(states)?;
        Ok(values.chunks_exact(self.heads().max(1)).map(|heads| mean(heads) as f32).collect())
    }

    /// V_k(s) = tanh(w_k . h) of each head, `[N K]`, state after state.
    ///
    /// # Errors
    /// What LibTorch says of a device.
    pub fn head_values(&self, states: &States) -> Result<Vec<f64>, ModelError> {
        if self.value_heads.is_empty() {
            return Ok(Vec::new());
        }
        let (numbers, width) = (states.to_vec()?, self.config.hidden_size);
        let value = |state: &[f32], head: &[f32]| {
            state.iter().zip(head).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>().tanh()
        };
        let states = numbers.chunks_exact(width);
        Ok(states.flat_map(|state| self.value_heads.chunks_exact(width).map(move |head| value(state, head))).collect())
    }
}
