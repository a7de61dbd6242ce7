use super::*;
use crate::{Architecture, ModelConfig, ModelError, RopeScaling, Transformer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tch::{Device, Kind, Tensor};

/// A small configuration in which everything that an architecture may have is switched on.
fn config(architecture: Architecture) -> ModelConfig {
    let llama = ModelConfig { architecture, ..ModelConfig::llama(50, 32, 48, 3, 4, 2, 256).unwrap() };
    match architecture {
        Architecture::Llama => {
            let scaling = RopeScaling::Linear { factor: 2.0 };
            ModelConfig { attention_bias: true, tie_word_embeddings: false, rope_scaling: scaling, ..llama }
        }
        Architecture::Mistral => ModelConfig { sliding_window: Some(7), ..llama },
        Architecture::Qwen2 => ModelConfig { attention_bias: true, num_key_value_heads: 4, ..llama },
        Architecture::Qwen3 => ModelConfig { qk_norm: true, head_dim: 6, num_key_value_heads: 1, ..llama },
    }
}

/// Random weights so large that attention is far from uniform.
fn model(config: &ModelConfig) -> Transformer {
    // Tests run side by side, and LibTorch's threads wait for each other by spinning.
    tch::set_num_threads(1);
    let mut model = Transformer::init(config, 5, Device::Cpu).unwrap();
    let mut generator = ChaCha8Rng::seed_from_u64(6);
    let mut noise = |count: usize| -> Vec<f32> {
        (0..count).map(|_| generator.next_u32() as f32 / u32::MAX as f32 - 0.5).collect()
    };
    for (_, tensor) in model.parameters() {
        let center = if tensor.dim() == 1 { tensor.shallow_clone() } else { Tensor::from(0.0_f32) };
        let noise = Tensor::from_slice(&noise(tensor.numel())).view(tensor.size().as_slice());
        tensor.shallow_clone().copy_(&(noise * (8.0 / (config.hidden_size as f64).sqrt()) + center));
    }
    let head = Tensor::from_slice(&noise(config.hidden_size)) * 0.2;
    model.set_value_head(Some(head)).unwrap();
    model
}

fn tokens(count: usize, vocab_size: usize, seed: u64) -> Vec<u32> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| generator.next_u32() % vocab_size as u32).collect()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    Vec::<f32>::try_from(tensor.flatten(0, -1).to_kind(Kind::Float)).unwrap().into_iter().map(f32::to_bits).collect()
}

/// The hidden state of the last token of a plain sequence, [H], by the forward pass for training.
fn naive(model: &Transformer, ids: &[u32]) -> Tensor {
    let n = ids.len() as i64;
    let window = model.config().sliding_window.map_or(i64::MAX, |window| window as i64);
    let mask: Vec<f32> = (0..n * n)
        .map(|index| (index / n, index % n))
        .map(|(i, j)| if j <= i && i - j < window { 0.0 } else { f32::NEG_INFINITY })
        .collect();
    let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    let positions = Tensor::arange(n, (Kind::Int64, Device::Cpu)).view([1, n]);
    let mask = Tensor::from_slice(&mask).view([1, 1, n, n]);
    tch::no_grad(|| model.hidden(&Tensor::from_slice(&ids).view([1, n]), &positions, &mask)).select(1, n - 1).squeeze()
}

/// Reads a prefix in passes of `chunk` tokens.
fn prefill(model: &Transformer, ids: &[u32], chunk: usize) -> (DecodeGroup, Tensor) {
    let mut group = DecodeGroup::new(model, &[], 1, ids.len()).unwrap();
    let mut last = Tensor::new();
    for part in ids.chunks(chunk) {
        last = model.extend(&mut [(&mut group, part)]).unwrap();
    }
    (group, last)
}

fn assert_close(found: &Tensor, wanted: &Tensor, what: &str) {
    let difference = (found - wanted).abs().max().double_value(&[]);
    assert!(difference < 1e-4, "{what}: {difference}");
}

#[test]
fn cached_decoding_equals_the_full_forward_pass() {
    for architecture in Architecture::ALL {
        for invariant in [true, false] {
            let mut model = model(&config(architecture));
            model.set_batch_invariant(invariant);
            let name = architecture.name();
            let prompt = tokens(19, 50, 1);
            let (group, hidden) = prefill(&model, &prompt, 8);
            assert_close(&hidden.get(0), &naive(&model, &prompt), name);

            // Two segments, one of them cut out of a longer one, and three siblings.
            let segments = [group.suffix(0, 0..12), group.suffix(0, 10..19).narrow(2..9)];
            let mut siblings = DecodeGroup::new(&model, &segments, 3, 10).unwrap();
            let mut rows: Vec<Vec<u32>> = vec![prompt; 3];
            for step in 0..9 {
                if step == 5 {
                    siblings.keep_rows(&[2, 0]).unwrap();
                    rows = vec![rows[2].clone(), rows[0].clone()];
                }
                let new = tokens(rows.len(), 50, 20 + step);
                rows.iter_mut().zip(&new).for_each(|(row, &id)| row.push(id));
                let hidden = model.extend(&mut [(&mut siblings, &new)]).unwrap();
                for (row, ids) in rows.iter().enumerate() {
                    assert_close(&hidden.get(row as i64), &naive(&model, ids), &format!("{name} step {step}"));
                }
            }
            // What a row leaves behind serves as the next prefix.
            let segments = [segments[0].shallow_clone(), segments[1].shallow_clone(), siblings.suffix(1, 0..9)];
            let mut next = DecodeGroup::new(&model, &segments, 1, 4).unwrap();
            assert_eq!(next.prefix_len(), 28);
            let new = tokens(4, 50, 3);
            rows[1].extend(&new);
            let hidden = model.extend(&mut [(&mut next, &new)]).unwrap();
            assert_close(&hidden.get(0), &naive(&model, &rows[1]), name);
        }
    }
}

#[test]
fn several_rows_may_take_several_tokens_in_one_pass() {
    let model = model(&config(Architecture::Mistral));
    let (group, _) = prefill(&model, &tokens(9, 50, 1), 9);
    let mut two = DecodeGroup::new(&model, &[group.suffix(0, 0..9)], 2, 8).unwrap();
    let new = tokens(16, 50, 2);
    let hidden = model.extend(&mut [(&mut two, &new)]).unwrap();
    for row in 0..2 {
        let ids = [tokens(9, 50, 1), new[row * 8..row * 8 + 8].to_vec()].concat();
        assert_close(&hidden.get(row as i64), &naive(&model, &ids), "row");
    }
}

/// What a request computes among `before` and `after` others: hidden states, logits and values of every pass, then the
/// keys and values of one row.
fn in_company(model: &Transformer, before: usize, after: usize) -> Vec<Vec<u32>> {
    let vocab_size = model.config().vocab_size;
    let prompt = tokens(23, vocab_size, 1);
    let mut found = Vec::new();
    let mut groups: Vec<DecodeGroup> = Vec::new();
    let mut pass = |groups: &mut Vec<DecodeGroup>, ids: &[Vec<u32>]| {
        let first: usize = groups[..before].iter().map(DecodeGroup::rows).sum();
        let rows = groups[before].rows();
        let mut calls: Vec<_> = groups.iter_mut().zip(ids.iter().map(Vec::as_slice)).collect();
        let hidden = model.extend(&mut calls).unwrap();
        let own = |all: &Tensor| bits(&all.narrow(0, first as i64, rows as i64));
        found.extend([own(&hidden), own(&model.logits(&hidden)), own(&model.values(&hidden))]);
    };
    for other in 0..=before + after {
        // The others have prefixes, rows and lengths of their own.
        let rows = if other == before { 1 } else { 1 + other % 4 };
        let length = if other == before { 0 } else { other % 7 };
        let prefix =
            if length > 0 { vec![prefill(model, &prompt[..length], 9).0.suffix(0, 0..length)] } else { vec![] };
        groups.push(DecodeGroup::new(model, &prefix, rows, 40).unwrap());
    }
    for part in prompt.chunks(10) {
        let ids: Vec<Vec<u32>> = groups
            .iter()
            .enumerate()
            .map(
                |(g, group)| {
                    if g == before { part.to_vec() } else { tokens(group.rows() * (1 + g % 2), vocab_size, g as u64) }
                },
            )
            .collect();
        pass(&mut groups, &ids);
    }
    groups[before] = DecodeGroup::new(model, &[groups[before].suffix(0, 0..23)], 3, 20).unwrap();
    for step in 0..4 {
        if step == 2 {
            groups[before].keep_rows(&[0, 2]).unwrap();
        }
        let ids: Vec<Vec<u32>> = groups
            .iter()
            .enumerate()
            .map(|(g, group)| tokens(group.rows(), vocab_size, if g == before { step } else { 70 + step + g as u64 }))
            .collect();
        pass(&mut groups, &ids);
    }
    let segment = groups[before].suffix(1, 0..4);
    found.extend([bits(&segment.keys), bits(&segment.values)]);
    found
}

/// Rule of the reproducible mode: the same bits alone and in company, wherever in the batch, in either precision.
fn assert_batch_invariant(config: &ModelConfig) {
    let mut model = model(config);
    for kind in [Kind::Float, Kind::BFloat16] {
        model.convert(kind).unwrap();
        let alone = in_company(&model, 0, 0);
        for (before, after) in [(0, 1), (1, 0), (2, 3), (7, 0), (5, 11), (30, 9)] {
            let found = in_company(&model, before, after);
            let differs = alone.iter().zip(&found).position(|(alone, found)| alone != found);
            let name = config.architecture.name();
            assert_eq!(differs, None, "{name}, {kind:?}: {before} before, {after} after");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_batch() {
    for architecture in Architecture::ALL {
        assert_batch_invariant(&config(architecture));
    }
}

#[test]
fn bits_do_not_depend_on_the_batch_in_wider_models() {
    assert_batch_invariant(&ModelConfig::llama(512, 128, 384, 2, 4, 2, 128).unwrap());
    assert_batch_invariant(&ModelConfig::llama(1000, 576, 1536, 1, 9, 3, 128).unwrap());
    // Widths that no vector register divides.
    assert_batch_invariant(&ModelConfig::llama(333, 66, 175, 2, 3, 3, 128).unwrap());
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let model = model(&ModelConfig::llama(200, 128, 384, 1, 4, 2, 128).unwrap());
    let alone = in_company(&model, 0, 0);
    for threads in [2, 3] {
        tch::set_num_threads(threads);
        assert!(alone == in_company(&model, 3, 1), "{threads} threads");
    }
}

#[test]
fn the_fast_mode_computes_the_same_within_rounding() {
    let mut model = model(&config(Architecture::Llama));
    let wanted = prefill(&model, &tokens(21, 50, 4), 21).1;
    model.set_batch_invariant(false);
    assert_close(&prefill(&model, &tokens(21, 50, 4), 21).1, &wanted, "fast");
}

#[test]
fn tokens_that_do_not_fit_are_refused_and_change_nothing() {
    let model = model(&config(Architecture::Llama));
    let mut group = DecodeGroup::new(&model, &[], 2, 3).unwrap();
    let mut extend = |ids: &[u32]| model.extend(&mut [(&mut group, ids)]).map(|hidden| hidden.size());
    assert!(matches!(extend(&[1, 2, 3]), Err(ModelError::Group { tokens: 3, rows: 2, .. })));
    assert!(matches!(extend(&[]), Err(ModelError::Group { tokens: 0, .. })));
    assert!(matches!(extend(&[1, 50]), Err(ModelError::Token { id: 50, vocab_size: 50 })));
    assert_eq!(extend(&[1, 2]).unwrap(), [2, 32]);
    assert!(matches!(extend(&[1; 6]), Err(ModelError::Group { used: 1, capacity: 3, .. })));
    assert_eq!(group.used(), 1);
    assert_eq!(model.extend(&mut []).unwrap().size(), [0, 32]);
}

#[test]
fn segments_of_another_model_are_refused() {
    let small = model(&config(Architecture::Qwen3));
    let segment = prefill(&small, &[1, 2], 2).0.suffix(0, 0..2);
    assert_eq!((segment.len(), segment.bytes()), (2, 2 * 3 * 2 * 6 * 4));
    let error = DecodeGroup::new(&model(&config(Architecture::Llama)), &[segment], 1, 1).unwrap_err();
    assert_eq!(error.to_string(), "tensor keys has shape [3, 1, 2, 6], but the config wants [3, 2, 2, 8]");
}
