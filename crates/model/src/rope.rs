//! Rotary position embedding (arXiv:2104.09864) and its stretched forms.
//!
//! Numbers i and i + d/2 of a head of width d are one pair, turned by the angle position / wavelength_i, in the order of
//! Hugging Face transformers. Stretching divides the frequencies so that more positions fit than were trained.

use crate::{ModelConfig, ModelError};
use std::f64::consts::PI;
use tch::{Device, Kind, Tensor};

/// How wavelengths are stretched for texts longer than those trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All by the same factor (arXiv:2306.15595).
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Long ones by a factor, short ones not, with a smooth passage between (Llama 3.1).
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `original_context / low_frequency_factor` are stretched fully.
        low_frequency_factor: f64,
        /// Those below `original_context / high_frequency_factor` not at all.
        high_frequency_factor: f64,
        /// Tokens trained on before stretching.
        original_context: f64,
    },
    /// As `Llama3` with a passage that is linear in the index of the pair, and larger attention scores
    /// (YaRN, arXiv:2309.00071).
    Yarn {
        /// The factor.
        factor: f64,
        /// Tokens trained on before stretching.
        original_context: f64,
        /// Pairs that turn more often than this within the original context are not stretched.
        beta_fast: f64,
        /// Pairs that turn less often than this are stretched fully.
        beta_slow: f64,
        /// What cosine and sine are multiplied with.
        attention_factor: f64,
        /// Whether the passage begins and ends at whole pairs.
        truncate: bool,
    },
}

impl RopeScaling {
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        let fields = match *self {
            RopeScaling::None => vec![],
            RopeScaling::Linear { factor } => vec![("factor", factor)],
            RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context } => vec![
                ("factor", factor),
                ("low_freq_factor", low_frequency_factor),
                ("high_freq_factor", high_frequency_factor),
                ("original_max_position_embeddings", original_context),
            ],
            RopeScaling::Yarn { factor, original_context, beta_fast, beta_slow, attention_factor, .. } => vec![
                ("factor", factor),
                ("original_max_position_embeddings", original_context),
                ("beta_fast", beta_fast),
                ("beta_slow", beta_slow),
                ("attention_factor", attention_factor),
            ],
        };
        match fields.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            Some((name, value)) => Err(ModelError::field(name, format!("is {value}, but must be positive"))),
            None => Ok(()),
        }
    }
}

/// The angles of one model.
#[derive(Debug)]
pub(crate) struct Rope {
    /// 1 / wavelength of each pair, in radians for each position; [d/2].
    frequencies: Vec<f32>,
    attention_factor: f32,
    device: Device,
}

impl Rope {
    pub fn new(config: &ModelConfig, device: Device) -> Rope {
        let width = config.head_dim as f64;
        let theta = config.rope_theta;
        let plain = (0..config.head_dim / 2).map(|pair| theta.powf(-(2.0 * pair as f64) / width));
        let mut attention = 1.0;
        let frequencies: Vec<f64> = match config.rope_scaling {
            RopeScaling::None => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|frequency| frequency / factor).collect(),
            RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context } => plain
                .map(|frequency| {
                    // Turns within the original context.
                    let turns = original_context * frequency / (2.0 * PI);
                    let kept = (turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor);
                    let kept = if turns < low_frequency_factor {
                        0.0
                    } else if turns > high_frequency_factor {
                        1.0
                    } else {
                        kept
                    };
                    (1.0 - kept) * frequency / factor + kept * frequency
                })
                .collect(),
            RopeScaling::Yarn { factor, original_context, beta_fast, beta_slow, attention_factor, truncate } => {
                attention = attention_factor;
                // The pair that turns `turns` times within the original context.
                let pair = |turns: f64| width * (original_context / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
                let (mut first, mut last) = (pair(beta_fast), pair(beta_slow));
                if truncate {
                    (first, last) = (first.floor(), last.ceil());
                }
                let first = first.max(0.0);
                let mut last = last.min(width - 1.0);
                #[allow(clippy::float_cmp)] // exactly equal is the singular case
                if first == last {
                    last += 0.001;
                }
                plain
                    .enumerate()
                    .map(|(index, frequency)| {
                        let stretched = ((index as f64 - first) / (last - first)).clamp(0.0, 1.0);
                        stretched * frequency / factor + (1.0 - stretched) * frequency
                    })
                    .collect()
            }
        };
        let frequencies = frequencies.into_iter().map(|frequency| frequency as f32).collect();
        Rope { frequencies, attention_factor: attention as f32, device }
    }

    /// The turns at `positions` (int64, any shape P): cosines and signed sines, both [P, d], float32. The first half of
    /// the sines is negated, see [`turn`].
    pub fn turns(&self, positions: &Tensor) -> (Tensor, Tensor) {
        let frequencies = Tensor::from_slice(&self.frequencies).to_device(self.device);
        let angles = positions.to_kind(Kind::Float).unsqueeze(-1) * frequencies;
        let cosines = angles.cos() * f64::from(self.attention_factor);
        let sines = angles.sin() * f64::from(self.attention_factor);
        (Tensor::cat(&[&cosines, &cosines], -1), Tensor::cat(&[&-&sines, &sines], -1))
    }

    /// Makes `angles`, cosines and sines [positions, d/2], reach to position `end`. Each number depends on its own position
    /// alone, bit for bit.
    pub fn reach(&self, end: usize, angles: &mut (Vec<f32>, Vec<f32>)) {
        let (cosines, sines) = angles;
        for position in cosines.len() / self.frequencies.len()..end {
            for &frequency in &self.frequencies {
                // The product is rounded to f32 as transformers does; the functions themselves are then exact.
                let (sine, cosine) = f64::from(position as f32 * frequency).sin_cos();
                cosines.push(cosine as f32 * self.attention_factor);
                sines.push(sine as f32 * self.attention_factor);
            }
        }
    }
}

/// Turns the pairs (i, i + d/2) of `x` [.., d] by angles whose cosines and signed sines are given:
/// x_i cos - x_{i+d/2} sin, x_{i+d/2} cos + x_i sin.
pub(crate) fn turn(x: &Tensor, cosines: &Tensor, sines: &Tensor) -> Tensor {
    let half = cosines.size()[cosines.dim() - 1] / 2;
    x * cosines + x.roll(half, -1) * sines
}
