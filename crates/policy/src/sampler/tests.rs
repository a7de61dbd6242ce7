use super::*;
use espalier_search::candidate_generator;

/// The distribution that `draw` promises, by full sorting and in f64.
fn reference(logits: &[f32], choices: usize, temperature: f64, config: &SamplingConfig, seen: &[u32]) -> Vec<f64> {
    let penalty = f64::from(config.repetition_penalty);
    let shaped: Vec<f64> = (0..choices)
        .map(|id| {
            let logit = f64::from(logits[id]);
            let logit = match (seen.contains(&(id as u32)), logit > 0.0) {
                (false, _) => logit,
                (true, true) => logit / penalty,
                (true, false) => logit * penalty,
            };
            logit / temperature
        })
        .collect();
    let mut order: Vec<usize> = (0..choices).collect();
    order.sort_by(|&a, &b| shaped[b].total_cmp(&shaped[a]).then(a.cmp(&b)));
    let best = shaped[order[0]];
    if config.top_k > 0 {
        order.truncate(config.top_k);
    }
    let mass = |ids: &[usize]| ids.iter().map(|&id| (shaped[id] - best).exp()).sum::<f64>();
    let total = mass(&order);
    let kept = (1..=order.len()).find(|&n| mass(&order[..n]) >= total * f64::from(config.top_p));
    order.truncate(kept.unwrap_or(order.len()));
    order.retain(|&id| (shaped[id] - best).exp() >= f64::from(config.min_p));
    let total = mass(&order);
    let mut p = vec![0.0; choices];
    for id in order {
        p[id] = (shaped[id] - best).exp() / total;
    }
    p
}

fn random_logits(seed: u64, len: usize, spread: f32) -> Vec<f32> {
    let mut generator = candidate_generator(seed, 0);
    (0..len).map(|_| (uniform(&mut generator) as f32 - 0.5) * spread).collect()
}

#[test]
fn frequencies_are_those_of_the_reference_distribution() {
    let off = SamplingConfig::default();
    let configs = [
        off.clone(),
        SamplingConfig { top_k: 7, ..off.clone() },
        SamplingConfig { top_p: 0.6, ..off.clone() },
        SamplingConfig { min_p: 0.3, ..off.clone() },
        SamplingConfig { top_k: 40, top_p: 0.8, min_p: 0.05, ..off.clone() },
        SamplingConfig { repetition_penalty: 1.8, ..off.clone() },
        SamplingConfig { repetition_penalty: 0.6, top_p: 0.9, ..off },
    ];
    // 300 logits make two blocks; only 290 may be drawn. 301 has the largest logit and must never come.
    let mut logits = random_logits(1, 302, 8.0);
    logits[301] = 9.0;
    let seen = [3, 5, 5, 288, 301];
    let draws = 20_000;
    let mut scratch = Scratch::default();
    for config in configs {
        for temperature in [0.5, 1.0, 1.7] {
            let expected = reference(&logits, 290, f64::from(temperature), &config, &seen);
            let mut counts = vec![0_u32; 290];
            let mut generator = candidate_generator(42, 1);
            for _ in 0..draws {
                let seen = seen.iter().copied();
                let draw = draw(&logits, 290, temperature, &config, seen, &mut generator, &mut scratch).unwrap();
                counts[draw.token as usize] += 1;
            }
            for (id, (&count, &p)) in counts.iter().zip(&expected).enumerate() {
                let deviation = (f64::from(draws) * p * (1.0 - p)).sqrt();
                let distance = (f64::from(count) - f64::from(draws) * p).abs();
                assert!(distance <= 4.5 * deviation + 1.5, "{config:?} at {temperature}: id {id}: {count} for p = {p}");
                assert!(p > 0.0 || count == 0, "{config:?} at {temperature}: id {id} is cut but was drawn");
            }
        }
    }
}

#[test]
fn logprob_is_the_models_own() {
    let logits = random_logits(2, 1000, 20.0);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    let config = SamplingConfig { top_k: 3, repetition_penalty: 2.0, ..SamplingConfig::default() };
    let mut scratch = Scratch::default();
    for temperature in [0.0, 0.3, 2.0] {
        let mut generator = candidate_generator(3, 0);
        let seen = 0..500;
        let draw = draw(&logits, 1000, temperature, &config, seen, &mut generator, &mut scratch).unwrap();
        let expected = f64::from(logits[draw.token as usize]) - total.ln();
        assert!((f64::from(draw.logprob) - expected).abs() < 2e-6, "{} for {expected}", draw.logprob);
    }
}

#[test]
fn greedy_takes_the_lowest_of_equal_logits_and_uses_no_randomness() {
    let logits = [0.0, 4.0, -1.0, 4.0];
    let mut generator = candidate_generator(0, 0);
    let mut scratch = Scratch::default();
    let config = SamplingConfig::default();
    let first = draw(&logits, 4, 0.0, &config, [].into_iter(), &mut generator, &mut scratch).unwrap();
    assert_eq!(first.token, 1);
    assert_eq!(generator.get_word_pos(), 0);
    // With a penalty of 2 on the token 1, the other one is ahead.
    let config = SamplingConfig { repetition_penalty: 2.0, ..config };
    let second = draw(&logits, 4, 0.0, &config, [1].into_iter(), &mut generator, &mut scratch).unwrap();
    assert_eq!(second.token, 3);
}

#[test]
fn broken_logits_are_refused() {
    let mut scratch = Scratch::default();
    for broken in [f32::NAN, f32::INFINITY] {
        for place in [0, 11, 12] {
            let mut logits = vec![0.0; 13];
            logits[place] = broken;
            let mut generator = candidate_generator(0, 0);
            let seen = [].into_iter();
            assert!(draw(&logits, 13, 1.0, &SamplingConfig::default(), seen, &mut generator, &mut scratch).is_none());
        }
    }
    // A masked token is no error, and never drawn.
    let logits = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
    for seed in 0..100 {
        let mut generator = candidate_generator(seed, 0);
        let seen = [].into_iter();
        let draw = draw(&logits, 3, 1.0, &SamplingConfig::default(), seen, &mut generator, &mut scratch);
        assert_eq!(draw, Some(Draw { token: 1, logprob: 0.0 }));
    }
}

#[test]
fn exp_is_exact_to_a_few_units() {
    for index in 0..870_000 {
        let x = -1e-4 * index as f32;
        let (mine, exact) = (f64::from(exp(x)), f64::from(x).exp());
        assert!((mine - exact).abs() <= 2.5e-7 * exact, "exp({x}) = {exact}, not {mine}");
    }
    assert_eq!(exp(0.0).to_bits(), 1.0_f32.to_bits());
    assert_eq!(exp(-1e9).to_bits(), 0.0_f32.to_bits());
    assert_eq!(exp(f32::NEG_INFINITY).to_bits(), 0.0_f32.to_bits());
}

#[test]
fn picking_by_blocks_is_picking_by_elements() {
    let weights = random_logits(7, 1000, 2.0).iter().map(|w| w.max(0.0)).collect::<Vec<_>>();
    let block_sums: Vec<f32> = weights.chunks(BLOCK).map(|block| block.iter().sum()).collect();
    let total: f64 = block_sums.iter().map(|&sum| f64::from(sum)).sum();
    for step in 0..=1000 {
        let target = total * f64::from(step) / 1000.0;
        let (blocks, elements) = (pick_in_blocks(&weights, &block_sums, target) as usize, pick(&weights, target));
        assert!(weights[blocks] > 0.0);
        assert!(blocks.abs_diff(elements) <= 2, "{target}: {blocks} and {elements}");
    }
}

#[test]
fn rows_of_one_request_draw_from_different_streams() {
    let words: Vec<u64> = (0..4).map(|row| candidate_generator(9, row).next_u64()).collect();
    let again: Vec<u64> = (0..4).map(|row| candidate_generator(9, row).next_u64()).collect();
    assert_eq!(words, again);
    assert!((1..4).all(|row| words[row] != words[0]), "{words:?}");
}
