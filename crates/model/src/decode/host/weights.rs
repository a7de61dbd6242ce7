//! Weights in the panels that the kernels read.

use crate::checkpoint::tensor_bytes;
use crate::transformer::Linear;
use crate::{ModelError, Transformer};
use espalier_kernels::Matrix;
use tch::{Kind, Tensor};

/// One layer's weights; what reads the same rows is one matrix.
pub(super) struct HostLayer {
    pub attention_norm: Vec<f32>,
    pub qkv: Matrix,
    /// Scales of the query and the key norm, [d] each.
    pub qk_norm: Option<(Vec<f32>, Vec<f32>)>,
    pub output: Matrix,
    pub mlp_norm: Vec<f32>,
    pub gate_up: Matrix,
    pub down: Matrix,
}

pub(super) struct HostWeights {
    /// [V, H]; also what makes logits where the two are tied.
    embedding: Matrix,
    pub layers: Vec<HostLayer>,
    pub norm: Vec<f32>,
    head: Option<Matrix>,
}

impl HostWeights {
    pub fn new(model: &Transformer, half: bool) -> Result<HostWeights, ModelError> {
        let matrix = |tensor: &Tensor| packed(&[tensor], None, half);
        let linears = |all: &[&Linear]| {
            let weights: Vec<&Tensor> = all.iter().map(|linear| &linear.weight).collect();
            let biases: Option<Vec<&Tensor>> = all.iter().map(|linear| linear.bias.as_ref()).collect();
            let bias = biases.map(|biases| floats(&Tensor::f_cat(&biases, 0)?)).transpose()?;
            packed(&weights, bias, half)
        };
        let layers = model.layers.iter().map(|layer| {
            let qk_norm = layer.qk_norm.as_ref();
            Ok(HostLayer {
                attention_norm: floats(&layer.attention_norm)?,
                qkv: linears(&[&layer.query, &layer.key, &layer.value])?,
                qk_norm: qk_norm.map(|(query, key)| Ok::<_, ModelError>((floats(query)?, floats(key)?))).transpose()?,
                output: linears(&[&layer.output])?,
                mlp_norm: floats(&layer.mlp_norm)?,
                gate_up: linears(&[&layer.gate, &layer.up])?,
                down: linears(&[&layer.down])?,
            })
        });
        Ok(HostWeights {
            embedding: matrix(&model.embedding)?,
            layers: layers.collect::<Result<_, ModelError>>()?,
            norm: floats(&model.norm)?,
            head: model.head.as_ref().map(matrix).transpose()?,
        })
    }

    pub fn bytes(&self) -> usize {
        let layer =
            |layer: &HostLayer| layer.qkv.bytes() + layer.output.bytes() + layer.gate_up.bytes() + layer.down.bytes();
        let head = self.head.as_ref().map_or(0, Matrix::bytes);
        self.embedding.bytes() + head + self.layers.iter().map(layer).sum::<usize>()
    }

    pub fn embed(&self, id: usize, x: &mut [f32]) {
        self.embedding.row(id, x);
    }

    /// What makes logits.
    pub fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embedding)
    }
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    super::super::states::to_vec(tensor)
}

fn packed(parts: &[&Tensor], bias: Option<Vec<f32>>, half: bool) -> Result<Matrix, ModelError> {
    let inputs = parts[0].size()[1] as usize;
    if half {
        let halves = |tensor: &&Tensor| -> Result<Vec<u16>, ModelError> {
            let bytes = tensor_bytes(&tensor.f_to_kind(Kind::BFloat16)?)?;
            Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
        };
        let parts = parts.iter().map(halves).collect::<Result<Vec<_>, _>>()?;
        Ok(Matrix::bfloat16(inputs, parts.iter().map(Vec::as_slice), bias))
    } else {
        let parts = parts.iter().map(|tensor| floats(tensor)).collect::<Result<Vec<_>, _>>()?;
        Ok(Matrix::float32(inputs, parts.iter().map(Vec::as_slice), bias))
    }
}
