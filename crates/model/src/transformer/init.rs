//! Fresh weights.

use crate::{ModelConfig, ModelError, names};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;
use tch::{Device, Tensor};

/// The weights in the order of [`names::weights`]. Each has a stream of its own, so its numbers depend on the seed, its
/// place and its shape only.
///
/// Standard deviations are 1 / sqrt(inputs), which suits every width (the usual 0.02 is that of 2500 inputs, and a model
/// of 128 learns slowly from it); maps into the residual stream get it divided by sqrt(2 layers), as in GPT-2.
pub(super) fn weights(config: &ModelConfig, seed: u64, device: Device) -> Result<Vec<Tensor>, ModelError> {
    let depth = (2.0 * config.num_hidden_layers as f64).sqrt();
    let make = |(stream, (name, shape)): (usize, (String, Vec<i64>))| {
        let numbers = shape.iter().product::<i64>() as usize;
        let values = if name.ends_with("norm.weight") {
            vec![1.0; numbers]
        } else if name.ends_with("bias") {
            vec![0.0; numbers]
        } else {
            let into_residual = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
            let mut generator = ChaCha8Rng::seed_from_u64(seed);
            generator.set_stream(stream as u64);
            // Rows are outputs (of embeddings, tokens), columns inputs.
            let deviation = 1.0 / (shape.last().map_or(1.0, |&inputs| inputs as f64)).sqrt();
            normal(&mut generator, if into_residual { deviation / depth } else { deviation }, numbers)
        };
        Ok(Tensor::f_from_slice(&values)?.f_view(shape.as_slice())?.f_to_device(device)?)
    };
    names::weights(config).into_iter().enumerate().map(make).collect()
}

/// Normal numbers with mean 0, two at a time (Box and Muller 1958).
fn normal(generator: &mut ChaCha8Rng, deviation: f64, numbers: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(numbers + 1);
    while values.len() < numbers {
        // Uniform in (0, 1], because of the logarithm.
        let mut uniform = || ((generator.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let radius = deviation * (-2.0 * uniform().ln()).sqrt();
        let (sine, cosine) = (TAU * uniform()).sin_cos();
        values.extend([(radius * cosine) as f32, (radius * sine) as f32]);
    }
    values.truncate(numbers);
    values
}
