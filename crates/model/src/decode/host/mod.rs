//! Decoding by kernels of this project, on the processor.

mod weights;

use super::blocks::{Limit, Run};
use super::plan::{Calls, Plan};
use super::{DecodeGroup, Pool, States};
use crate::rope::Rope;
use crate::{ModelConfig, ModelError, Transformer};
use espalier_kernels::{
    Element, Heads, Into, Isa, Output, Piece, Rows, Seen, attend, copy, even, norm_heads, rms_norm, swiglu, turn,
};
use tch::Kind;
use weights::{HostLayer, HostWeights};

/// A model in main memory.
pub(super) struct Host {
    weights: HostWeights,
    heads: Heads,
    rope: Rope,
    /// Cosines and sines of the first positions, [positions, d/2].
    angles: (Vec<f32>, Vec<f32>),
    isa: Isa,
    /// Keys and values by the places of their blocks.
    kept: Kept,
    /// Whether weights, keys and values are bfloat16.
    half: bool,
}

enum Kept {
    Float32(Vec<Box<[f32]>>),
    Bfloat16(Vec<Box<[u16]>>),
}

impl std::fmt::Debug for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Host").field("heads", &self.heads).field("isa", &self.isa).finish_non_exhaustive()
    }
}

/// Activations as a product takes them.
struct Lines {
    width: usize,
    floats: Vec<f32>,
    halves: Vec<u16>,
    half: bool,
}

impl Lines {
    fn new(rows: usize, width: usize, half: bool) -> Lines {
        let floats = if half { 0 } else { rows * width };
        Lines { floats: vec![0.0; floats], ..Lines::copies(rows, width, half) }
    }

    /// For what is float32 already: memory for bfloat16 alone.
    fn copies(rows: usize, width: usize, half: bool) -> Lines {
        let halves = if half { rows * even(width) } else { 0 };
        Lines { width, floats: Vec::new(), halves: vec![0; halves], half }
    }

    fn output(&mut self) -> Output<'_> {
        if self.half { Output::Bfloat16(&mut self.halves) } else { Output::Float32(&mut self.floats) }
    }

    fn rows(&self) -> Rows<'_> {
        if self.half { Rows::Bfloat16(&self.halves) } else { Rows::Float32(&self.floats) }
    }

    /// Rows that are float32 already; only what a product takes as bfloat16 is copied.
    fn of<'a>(&'a mut self, x: &'a [f32]) -> Rows<'a> {
        if !self.half {
            return Rows::Float32(x);
        }
        copy(x, self.width, self.output());
        self.rows()
    }
}

impl Host {
    pub fn new(model: &Transformer, budget_bytes: usize) -> Result<(Host, Pool), ModelError> {
        let config = model.config();
        let heads = Heads {
            layers: config.num_hidden_layers,
            key_heads: config.num_key_value_heads,
            queries_per_key: config.queries_per_key(),
            width: config.head_dim,
            window: config.sliding_window,
        };
        let half = model.kind() == Kind::BFloat16;
        let (kept, bytes) = if half { (Kept::Bfloat16(Vec::new()), 2) } else { (Kept::Float32(Vec::new()), 4) };
        let pool = Pool::new(Limit::Soft, bytes * heads.block_numbers(), budget_bytes);
        let weights = HostWeights::new(model, half)?;
        let (rope, angles) = (Rope::new(config, tch::Device::Cpu), (Vec::new(), Vec::new()));
        Ok((Host { weights, heads, rope, angles, isa: Isa::best(), kept, half }, pool))
    }

    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// The hidden states of the `wanted` new tokens, of all if `None`.
    pub fn run(&mut self, config: &ModelConfig, plan: &Plan, calls: Calls, wanted: Option<&[usize]>) -> States {
        let (hidden, rows) = (config.hidden_size, plan.ids.len());
        let end = plan.positions.iter().max().map_or(0, |position| position + 1);
        self.rope.reach(end, &mut self.angles);
        let eps = config.rms_norm_eps as f32;

        let mut x = vec![0.0; rows * hidden];
        for (&id, x) in plan.ids.iter().zip(x.chunks_exact_mut(hidden)) {
            self.weights.embed(id as usize, x);
        }
        let mut normed = Lines::new(rows, hidden, self.half);
        let inner = config.intermediate_size;
        let mut gates = vec![0.0; rows * 2 * inner];
        let mut gated = Lines::new(rows, inner, self.half);
        let attended_width = config.num_attention_heads * config.head_dim;
        let mut qkv = vec![0.0; rows * (attended_width + 2 * config.num_key_value_heads * config.head_dim)];
        let mut attended = vec![0.0; rows * attended_width];
        let mut copies = Lines::copies(rows, attended_width, self.half);
        for (index, layer) in self.weights.layers.iter().enumerate() {
            rms_norm(self.isa, &x, &layer.attention_norm, eps, normed.output());
            layer.qkv.multiply(self.isa, normed.rows(), rows, &mut qkv, Into::Set);
            self.turn(plan, layer, &mut qkv, eps);
            let attention = Attention { isa: self.isa, heads: &self.heads, layer: index, plan, calls };
            match &mut self.kept {
                Kept::Float32(blocks) => attention.run(blocks, &qkv, &mut attended),
                Kept::Bfloat16(blocks) => attention.run(blocks, &qkv, &mut attended),
            }
            layer.output.multiply(self.isa, copies.of(&attended), rows, &mut x, Into::Add);

            rms_norm(self.isa, &x, &layer.mlp_norm, eps, normed.output());
            layer.gate_up.multiply(self.isa, normed.rows(), rows, &mut gates, Into::Set);
            swiglu(self.isa, &gates, inner, gated.output());
            layer.down.multiply(self.isa, gated.rows(), rows, &mut x, Into::Add);
        }
        let x = match wanted {
            Some(wanted) => wanted.iter().flat_map(|&row| &x[row * hidden..(row + 1) * hidden]).copied().collect(),
            None => x,
        };
        let mut states = vec![0.0; x.len()];
        rms_norm(self.isa, &x, &self.weights.norm, eps, Output::Float32(&mut states));
        States::host(states, hidden)
    }

    /// Norms of heads, turns by the positions, and the scale of the scores, in place.
    fn turn(&self, plan: &Plan, layer: &HostLayer, qkv: &mut [f32], eps: f32) {
        let (width, key_heads) = (self.heads.width, self.heads.key_heads);
        let query_width = key_heads * self.heads.queries_per_key * width;
        let stride = query_width + 2 * key_heads * width;
        let scale = (1.0 / (width as f64).sqrt()) as f32;
        for (line, &position) in qkv.chunks_exact_mut(stride).zip(&plan.positions) {
            let (queries, rest) = line.split_at_mut(query_width);
            let keys = &mut rest[..key_heads * width];
            if let Some((query_norm, key_norm)) = &layer.qk_norm {
                norm_heads(queries, query_norm, eps);
                norm_heads(keys, key_norm, eps);
            }
            let own = position * width / 2..(position + 1) * width / 2;
            let (cosines, sines) = (&self.angles.0[own.clone()], &self.angles.1[own]);
            turn(queries, cosines, sines, scale);
            turn(keys, cosines, sines, 1.0);
        }
    }

    /// Logits [N V] of hidden states [N H].
    pub fn logits(&self, states: &[f32]) -> Vec<f32> {
        let head = self.weights.head();
        let rows = states.len() / head.inputs();
        let mut copies = Lines::copies(rows, head.inputs(), self.half);
        let mut logits = vec![0.0; rows * head.outputs()];
        head.multiply(self.isa, copies.of(states), rows, &mut logits, Into::Set);
        logits
    }
}

/// Attention of one layer.
struct Attention<'a, 'b, 'c> {
    isa: Isa,
    heads: &'a Heads,
    layer: usize,
    plan: &'a Plan,
    calls: &'a [(&'b mut DecodeGroup, &'c [u32])],
}

impl Attention<'_, '_, '_> {
    /// Writes the new keys and values into their blocks, and attends.
    fn run<E: Element>(&self, blocks: &mut Vec<Box<[E]>>, qkv: &[f32], attended: &mut [f32]) {
        let key_width = self.heads.key_heads * self.heads.width;
        let query_width = key_width * self.heads.queries_per_key;
        let stride = query_width + 2 * key_width;
        let end = self.plan.targets.iter().map(|target| target.place + 1).max().unwrap_or(0);
        while blocks.len() < end {
            blocks.push(vec![E::ZERO; self.heads.block_numbers()].into());
        }
        for (target, line) in self.plan.targets.iter().zip(qkv.chunks_exact(stride)) {
            let (keys, values) = line[query_width..].split_at(key_width);
            self.heads.write(&mut blocks[target.place], self.layer, target.token, keys, values);
        }
        let blocks = &*blocks;
        let pieces = |runs: &[Run]| {
            runs.iter().map(|run| Piece { block: &blocks[run.block.place], start: run.start, len: run.len }).collect()
        };
        let seen: Vec<Seen<E>> = self
            .calls
            .iter()
            .zip(&self.plan.calls)
            .map(|((group, _), &(first, tokens))| {
                let own = group.rows.iter().map(|runs| pieces(runs)).collect();
                Seen { first, prefix: pieces(&group.prefix), own, tokens }
            })
            .collect();
        attend(self.isa, self.heads, self.layer, &seen, qkv, stride, attended);
    }
}
