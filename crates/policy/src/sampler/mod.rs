//! One token from one row of logits.
//!
//! A row is read a few times from front to back and sorted only as far as a limit (top-k, top-p) asks for. All
//! arithmetic is plain IEEE addition, multiplication and division in a fixed order, without calls to the platform's
//! mathematics library, so the same logits and the same seed give the same token on every machine.

use espalier_search::SamplingConfig;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Partial sums of this many elements are kept in f32, the sum over them in f64: the error of a sum over V terms stays
/// that of a sum over 256 terms.
const BLOCK: usize = 256;
/// Independent sums inside a block, so that the compiler can use vector instructions.
const LANES: usize = 8;

/// A sampled token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draw {
    /// Its id.
    pub token: u32,
    /// Its natural log-probability under the model itself: before penalty, temperature and limits.
    pub logprob: f32,
}

/// Buffers that are reused from row to row.
#[derive(Default)]
pub(crate) struct Scratch {
    shaped: Vec<f32>,
    weights: Vec<f32>,
    block_sums: Vec<f32>,
    order: Vec<u32>,
}

/// Draws one token.
///
/// `logits` `[V]` are the model's; only ids below `choices` may be drawn (a model's table may be longer than its
/// tokenizer's), while the log-probability is normalised over all V. `seen` are the tokens that a repetition penalty
/// applies to. `None` if a logit is NaN or +inf, or all of them are -inf.
pub(crate) fn draw(
    logits: &[f32],
    choices: usize,
    temperature: f32,
    config: &SamplingConfig,
    seen: impl Iterator<Item = u32>,
    generator: &mut ChaCha8Rng,
    scratch: &mut Scratch,
) -> Option<Draw> {
    let max = maximum(logits)?;
    let mut shaped = &logits[..choices.min(logits.len())];
    #[allow(clippy::float_cmp)] // 1 is the exact neutral value of the option
    if config.repetition_penalty != 1.0 {
        scratch.shaped.clear();
        scratch.shaped.extend_from_slice(shaped);
        penalise(&mut scratch.shaped, logits, config.repetition_penalty, seen);
        shaped = &scratch.shaped;
    }
    let token = if temperature > 0.0 {
        let max = maximum(shaped)?;
        let row = Row { shaped, max, inverse_temperature: 1.0 / temperature };
        row.sample(config, generator, &mut scratch.weights, &mut scratch.block_sums, &mut scratch.order)
    } else {
        argmax(shaped)
    };
    Some(Draw { token, logprob: logprob_of(logits, token, max, &mut scratch.block_sums) })
}

/// The natural log-probability of a given token; `None` where [`draw`] has none.
pub(crate) fn logprob(logits: &[f32], token: u32, scratch: &mut Scratch) -> Option<f32> {
    Some(logprob_of(logits, token, maximum(logits)?, &mut scratch.block_sums))
}

/// The likeliest of the tokens below `choices` and their natural log-probabilities, falling; of equal ones the lower id first.
/// None where [`draw`] has none; a token that cannot come is left out.
pub(crate) fn likeliest(logits: &[f32], choices: usize, count: usize, scratch: &mut Scratch) -> Vec<(u32, f32)> {
    let Some(max) = maximum(logits) else { return Vec::new() };
    let row = Row { shaped: &logits[..choices.min(logits.len())], max, inverse_temperature: 1.0 };
    scratch.order.clear();
    scratch.order.extend(0..row.shaped.len() as u32);
    row.sort_head(&mut scratch.order, count);
    let total = exponentials(logits, max, 1.0, None, &mut scratch.block_sums).ln();
    let logprob = |id: u32| (f64::from(logits[id as usize]) - f64::from(max) - total) as f32;
    let listed = scratch.order.iter().take(count).map(|&id| (id, logprob(id)));
    listed.filter(|(_, logprob)| logprob.is_finite()).collect()
}

fn logprob_of(logits: &[f32], token: u32, max: f32, block_sums: &mut Vec<f32>) -> f32 {
    let total = exponentials(logits, max, 1.0, None, block_sums);
    (f64::from(logits[token as usize]) - f64::from(max) - total.ln()) as f32
}

/// Divides the positive logits of seen tokens by the penalty and multiplies the others (CTRL, arXiv:1909.05858,
/// section 4.1, in the form of Hugging Face transformers, which treats both signs).
fn penalise(shaped: &mut [f32], logits: &[f32], penalty: f32, seen: impl Iterator<Item = u32>) {
    for token in seen {
        // Always computed from the model's logit, so that a token seen twice is penalised once.
        if let (Some(shaped), Some(&logit)) = (shaped.get_mut(token as usize), logits.get(token as usize)) {
            *shaped = if logit > 0.0 { logit / penalty } else { logit * penalty };
        }
    }
}

/// The largest logit; `None` where there is none or a NaN or +inf is among them.
fn maximum(logits: &[f32]) -> Option<f32> {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut finite = [true; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            // False for NaN as well.
            finite[lane] &= chunk[lane] < f32::INFINITY;
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    let mut max = lanes.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    for &logit in rest {
        finite[0] &= logit < f32::INFINITY;
        max = max.max(logit);
    }
    (finite == [true; LANES] && max > f32::NEG_INFINITY).then_some(max)
}

/// The id of the largest logit, the lowest such id.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// exp(x) for x <= 0 to about one unit in the last place, 0 below -87: Cody and Waite's reduction to
/// |r| <= ln(2) / 2 and the Taylor polynomial of degree 7, whose remainder there is below 6e-9. Without branches, so
/// that loops over it are vectorised.
fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer, which also lies in the sum's low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x > -87.0 { x } else { -87.0 };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + coefficient;
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    if x > -87.0 { p * f32::from_bits(exponent) } else { 0.0 }
}

/// Sum of exp((logit - max) * `inverse_temperature`) over the row; writes the terms to `weights` if given, and the sum
/// of each block of [`BLOCK`] terms to `block_sums`.
fn exponentials(
    logits: &[f32],
    max: f32,
    inverse_temperature: f32,
    weights: Option<&mut Vec<f32>>,
    block_sums: &mut Vec<f32>,
) -> f64 {
    block_sums.clear();
    let mut buffer = [0.0; BLOCK];
    let mut weights = weights;
    if let Some(weights) = weights.as_deref_mut() {
        weights.clear();
    }
    for block in logits.chunks(BLOCK) {
        let terms = &mut buffer[..block.len()];
        for (term, &logit) in terms.iter_mut().zip(block) {
            *term = exp((logit - max) * inverse_temperature);
        }
        let (chunks, rest) = terms.as_chunks::<LANES>();
        let mut lanes = [0.0_f32; LANES];
        for chunk in chunks {
            for lane in 0..LANES {
                lanes[lane] += chunk[lane];
            }
        }
        block_sums.push(lanes.iter().sum::<f32>() + rest.iter().sum::<f32>());
        if let Some(weights) = weights.as_deref_mut() {
            weights.extend_from_slice(terms);
        }
    }
    block_sums.iter().map(|&sum| f64::from(sum)).sum()
}

/// Uniform in [0, 1) with 53 random bits.
fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Logits to sample from at a temperature above 0.
struct Row<'a> {
    shaped: &'a [f32],
    max: f32,
    inverse_temperature: f32,
}

impl Row<'_> {
    /// Top-k, then top-p, then min-p, in the order of Hugging Face transformers; each keeps at least the likeliest.
    fn sample(
        &self,
        config: &SamplingConfig,
        generator: &mut ChaCha8Rng,
        weights: &mut Vec<f32>,
        block_sums: &mut Vec<f32>,
        order: &mut Vec<u32>,
    ) -> u32 {
        let limited_k = config.top_k > 0 && config.top_k < self.shaped.len();
        if !limited_k && config.top_p >= 1.0 {
            let mut total = exponentials(self.shaped, self.max, self.inverse_temperature, Some(weights), block_sums);
            if config.min_p > 0.0 {
                for (weights, sum) in weights.chunks_mut(BLOCK).zip(&mut *block_sums) {
                    weights.iter_mut().for_each(|weight| *weight = if *weight < config.min_p { 0.0 } else { *weight });
                    *sum = weights.iter().sum();
                }
                total = block_sums.iter().map(|&sum| f64::from(sum)).sum();
            }
            return pick_in_blocks(weights, block_sums, uniform(generator) * total);
        }

        order.clear();
        order.extend(0..self.shaped.len() as u32);
        if limited_k {
            self.sort_head(order, config.top_k);
            order.truncate(config.top_k);
            weights.clear();
            weights.extend(order.iter().map(|&id| self.weight(id)));
            let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            order.truncate(top_p_length(weights, total, config.top_p).unwrap_or(config.top_k));
        } else {
            let total = exponentials(self.shaped, self.max, self.inverse_temperature, None, block_sums);
            let mut sorted = 64;
            let kept = loop {
                self.sort_head(order, sorted);
                weights.clear();
                weights.extend(order.iter().take(sorted).map(|&id| self.weight(id)));
                match top_p_length(weights, total, config.top_p) {
                    Some(kept) => break kept,
                    None if sorted >= order.len() => break order.len(),
                    None => sorted *= 8,
                }
            };
            order.truncate(kept);
        }
        weights.truncate(order.len());
        // In falling order; the first weight is exp(0) = 1, which min-p is relative to.
        weights.truncate(weights.partition_point(|&weight| weight >= config.min_p).max(1));
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        order[pick(weights, uniform(generator) * total)]
    }

    fn weight(&self, id: u32) -> f32 {
        exp((self.shaped[id as usize] - self.max) * self.inverse_temperature)
    }

    /// Brings the `count` largest logits to the front, in falling order; of equal logits the lower id comes first.
    fn sort_head(&self, order: &mut [u32], count: usize) {
        let falling = |&a: &u32, &b: &u32| self.shaped[b as usize].total_cmp(&self.shaped[a as usize]).then(a.cmp(&b));
        let count = count.min(order.len());
        if count < order.len() {
            order.select_nth_unstable_by(count, falling);
        }
        order[..count].sort_unstable_by(falling);
    }
}

/// The smallest number of leading weights that hold the share `top_p` of `total`; `None` if all of them hold less.
fn top_p_length(weights: &[f32], total: f64, top_p: f32) -> Option<usize> {
    let target = total * f64::from(top_p);
    let mut sum = 0.0;
    weights
        .iter()
        .position(|&weight| {
            sum += f64::from(weight);
            sum >= target
        })
        .map(|last| last + 1)
}

/// The index at which the running sum passes `target`; the last one with weight if rounding keeps it below.
fn pick(weights: &[f32], target: f64) -> usize {
    let mut sum = 0.0;
    let mut last = 0;
    for (index, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            sum += f64::from(weight);
            last = index;
            if sum > target {
                break;
            }
        }
    }
    last
}

/// As [`pick`], but skips blocks by their sums.
fn pick_in_blocks(weights: &[f32], block_sums: &[f32], target: f64) -> u32 {
    let mut sum = 0.0;
    let (mut block, mut before) = (0, 0.0);
    for (index, &block_sum) in block_sums.iter().enumerate() {
        if block_sum > 0.0 {
            (block, before) = (index, sum);
            sum += f64::from(block_sum);
            if sum > target {
                break;
            }
        }
    }
    let first = block * BLOCK;
    let end = weights.len().min(first + BLOCK);
    (first + pick(&weights[first..end], target - before)) as u32
}

#[cfg(test)]
mod tests;
