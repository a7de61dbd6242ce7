//! What makes the heads of an ensemble differ: where each begins, and which problems each sees.

use crate::TrainerError;
use espalier_files::{seed_from, unit_interval};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tch::{Device, Tensor};

/// w_k `[K H]` at the beginning, float32. One head begins at zero. Several begin apart, each weight uniform in
/// +-1 / sqrt(H), so that they agree only on what the data says.
pub(super) fn beginnings(heads: usize, width: usize, seed: u64, device: Device) -> Result<Tensor, TrainerError> {
    let mut weights = vec![0_f32; heads * width];
    if heads > 1 {
        let most = (width as f64).sqrt().recip();
        for (head, weights) in weights.chunks_exact_mut(width).enumerate() {
            let mut generator = ChaCha8Rng::seed_from_u64(seed_from(&[&seed, &"head", &head]));
            weights.fill_with(|| ((2.0 * unit_interval(generator.next_u64()) - 1.0) * most) as f32);
        }
    }
    Ok(Tensor::from_slice(&weights).f_to_device(device)?)
}

/// How often each of P problems counts for each head, `[K][P]`: P draws with replacement (Efron 1979), as for the ensembles
/// of arXiv:2310.02743. One head sees every problem once.
pub(super) fn bootstrap(heads: usize, problems: usize, seed: u64) -> Vec<Vec<f32>> {
    let draw = |head: usize| {
        if heads == 1 {
            return vec![1.0; problems];
        }
        let mut generator = ChaCha8Rng::seed_from_u64(seed_from(&[&seed, &"bootstrap", &head]));
        let mut counts = vec![0.0; problems];
        for _ in 0..problems {
            counts[(generator.next_u64() % problems as u64) as usize] += 1.0;
        }
        counts
    };
    (0..heads).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_begin_apart_and_see_other_problems() {
        let of = |heads, seed| Vec::<f32>::try_from(beginnings(heads, 100, seed, Device::Cpu).unwrap()).unwrap();
        assert_eq!(of(1, 5), [0.0; 100]);
        let three = of(3, 5);
        assert_eq!(of(3, 5), three);
        assert!(three[..100] != three[100..200] && three[100..200] != three[200..] && three != of(3, 6));
        assert!(three.iter().all(|weight| weight.abs() <= 0.1));
        // The variance of a uniform number in +-0.1 is 0.01 / 3.
        let variance = three.iter().map(|weight| weight * weight).sum::<f32>() / 300.0;
        assert!((variance - 0.01 / 3.0).abs() < 5e-4, "{variance}");

        assert_eq!(bootstrap(1, 4, 5), [[1.0; 4]]);
        let counts = bootstrap(3, 400, 5);
        assert!(counts.iter().all(|counts| counts.iter().sum::<f32>() == 400.0));
        assert!(counts[0] != counts[1] && counts[1] != counts[2]);
        // A draw leaves (1 - 1/n)^n of the problems out, which is about 1/e.
        let left_out = counts[0].iter().filter(|&&count| count == 0.0).count();
        assert!((130..165).contains(&left_out), "{left_out}");
    }
}
