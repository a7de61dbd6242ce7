use super::*;
use crate::{Architecture, ModelConfig, ModelError, RopeScaling, Transformer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::HashSet;
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

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn decoder(model: &Transformer, numerics: Numerics) -> Decoder {
    Decoder::new(model, numerics, 1 << 22).unwrap()
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
fn prefill(decoder: &mut Decoder, ids: &[u32], chunk: usize) -> (DecodeGroup, Vec<f32>) {
    let mut group = DecodeGroup::new(&[], 1, ids.len().max(1)).unwrap();
    let mut last = Vec::new();
    for part in ids.chunks(chunk) {
        last = decoder.extend(&mut [(&mut group, part)]).unwrap().to_vec().unwrap();
    }
    (group, last)
}

fn assert_close(found: &[f32], wanted: &Tensor, what: &str) {
    let difference = (Tensor::from_slice(found) - wanted).abs().max().double_value(&[]);
    assert!(difference < 1e-4, "{what}: {difference}");
}

/// One row of some states.
fn row(states: &States, row: usize) -> Vec<f32> {
    states.narrow(row..row + 1).to_vec().unwrap()
}

#[test]
fn cached_decoding_equals_the_full_forward_pass() {
    for architecture in Architecture::ALL {
        for numerics in [Numerics::Invariant, Numerics::Fast] {
            let model = model(&config(architecture));
            let mut decoder = decoder(&model, numerics);
            let name = architecture.name();
            let prompt = tokens(19, 50, 1);
            let (group, hidden) = prefill(&mut decoder, &prompt, 8);
            assert_close(&hidden, &naive(&model, &prompt), name);

            // Two segments, one of them cut out of a longer one, and three siblings.
            let segments = [group.suffix(0, 0..12), group.suffix(0, 10..19).narrow(2..9)];
            let mut siblings = DecodeGroup::new(&segments, 3, 10).unwrap();
            let mut rows: Vec<Vec<u32>> = vec![prompt; 3];
            for step in 0..9 {
                if step == 5 {
                    siblings.keep_rows(&[2, 0]);
                    rows = vec![rows[2].clone(), rows[0].clone()];
                }
                if step == 7 {
                    siblings.keep_rows(&[0, 1, 0]);
                    rows = vec![rows[0].clone(), rows[1].clone(), rows[0].clone()];
                }
                let new = tokens(rows.len(), 50, 20 + step);
                rows.iter_mut().zip(&new).for_each(|(row, &id)| row.push(id));
                let states = decoder.extend(&mut [(&mut siblings, &new)]).unwrap();
                for (place, ids) in rows.iter().enumerate() {
                    assert_close(&row(&states, place), &naive(&model, ids), &format!("{name} step {step}"));
                }
            }
            // What a row leaves behind serves as the next prefix.
            let segments = [segments[0].clone(), segments[1].clone(), siblings.suffix(1, 0..9)];
            let mut next = DecodeGroup::new(&segments, 1, 4).unwrap();
            assert_eq!(next.prefix_len(), 28);
            let new = tokens(4, 50, 3);
            rows[1].extend(&new);
            let states = decoder.extend(&mut [(&mut next, &new)]).unwrap();
            assert_close(&row(&states, 0), &naive(&model, &rows[1]), name);
        }
    }
}

#[test]
fn several_rows_may_take_several_tokens_in_one_pass() {
    let model = model(&config(Architecture::Mistral));
    for numerics in [Numerics::Invariant, Numerics::Fast] {
        let mut decoder = decoder(&model, numerics);
        let (group, _) = prefill(&mut decoder, &tokens(9, 50, 1), 9);
        let mut two = DecodeGroup::new(&[group.suffix(0, 0..9)], 2, 20).unwrap();
        let new = tokens(40, 50, 2);
        let states = decoder.extend(&mut [(&mut two, &new)]).unwrap();
        for place in 0..2 {
            let ids = [tokens(9, 50, 1), new[place * 20..place * 20 + 20].to_vec()].concat();
            assert_close(&row(&states, place), &naive(&model, &ids), "row");
        }
    }
}

/// What a request computes among `before` and `after` others, its prompt read in passes of `chunk` tokens: hidden states, logits
/// and values after its prompt and of every pass of its siblings, then those after what one of them leaves behind.
fn in_company(model: &Transformer, before: usize, after: usize, chunk: usize) -> Vec<Vec<u32>> {
    let mut decoder = decoder(model, Numerics::Invariant);
    let vocab_size = model.config().vocab_size;
    let prompt = tokens(23, vocab_size, 1);
    let mut found = Vec::new();
    let mut groups: Vec<DecodeGroup> = Vec::new();
    for other in 0..=before + after {
        // The others have prefixes, rows and lengths of their own.
        let rows = if other == before { 1 } else { 1 + other % 4 };
        let length = if other == before { 0 } else { other % 7 };
        let prefix = prefill(&mut decoder, &prompt[..length], 9).0.suffix(0, 0..length);
        groups.push(DecodeGroup::new(&[prefix], rows, 60).unwrap());
    }
    let pass = |decoder: &mut Decoder, groups: &mut Vec<DecodeGroup>, ids: &[Vec<u32>]| {
        let first: usize = groups[..before].iter().map(DecodeGroup::rows).sum();
        let rows = groups[before].rows();
        let mut calls: Vec<_> = groups.iter_mut().zip(ids.iter().map(Vec::as_slice)).collect();
        let states = decoder.extend(&mut calls).unwrap();
        let own = states.narrow(first..first + rows);
        // Logits of all in one product, then of its own rows.
        let logits = decoder.logits(&states).unwrap()[first * vocab_size..(first + rows) * vocab_size].to_vec();
        [own.to_vec().unwrap(), logits, decoder.values(&own).unwrap()].map(|numbers| bits(&numbers))
    };
    let mut last = Vec::new();
    for part in prompt.chunks(chunk) {
        let ids: Vec<Vec<u32>> = groups
            .iter()
            .enumerate()
            .map(
                |(g, group)| {
                    if g == before { part.to_vec() } else { tokens(group.rows() * (1 + g % 2), vocab_size, g as u64) }
                },
            )
            .collect();
        last = pass(&mut decoder, &mut groups, &ids).into();
    }
    found.append(&mut last);
    groups[before] = DecodeGroup::new(&[groups[before].suffix(0, 0..23)], 3, 20).unwrap();
    for step in 0..4 {
        if step == 2 {
            groups[before].keep_rows(&[0, 2]);
        }
        let ids: Vec<Vec<u32>> = groups
            .iter()
            .enumerate()
            .map(|(g, group)| tokens(group.rows(), vocab_size, if g == before { step } else { 70 + step + g as u64 }))
            .collect();
        found.extend(pass(&mut decoder, &mut groups, &ids));
    }
    let left = groups[before].suffix(1, 0..4);
    groups[before] = DecodeGroup::new(&[left], 1, 1).unwrap();
    let ids: Vec<Vec<u32>> = groups.iter().map(|group| vec![7; group.rows()]).collect();
    found.extend(pass(&mut decoder, &mut groups, &ids));
    found
}

/// Rule of the invariant numerics: the same bits alone and in company, wherever in the batch, in whatever pieces a text is read,
/// in either precision.
fn assert_invariant(config: &ModelConfig) {
    let mut model = model(config);
    for kind in [Kind::Float, Kind::BFloat16] {
        model.convert(kind).unwrap();
        let alone = in_company(&model, 0, 0, 23);
        for (before, after, chunk) in [(0, 0, 1), (0, 1, 10), (1, 0, 5), (2, 3, 16), (7, 0, 3), (5, 11, 10), (30, 9, 7)]
        {
            let found = in_company(&model, before, after, chunk);
            let differs = alone.iter().zip(&found).position(|(alone, found)| alone != found);
            let name = config.architecture.name();
            assert_eq!(differs, None, "{name}, {kind:?}: {before} before, {after} after, chunks of {chunk}");
        }
    }
}

#[test]
fn bits_depend_on_neither_the_batch_nor_the_pieces() {
    for architecture in Architecture::ALL {
        assert_invariant(&config(architecture));
    }
}

#[test]
fn bits_depend_on_neither_the_batch_nor_the_pieces_in_wider_models() {
    assert_invariant(&ModelConfig::llama(512, 128, 384, 2, 4, 2, 128).unwrap());
    assert_invariant(&ModelConfig::llama(1000, 576, 1536, 1, 9, 3, 128).unwrap());
    // Widths that no vector register divides.
    assert_invariant(&ModelConfig::llama(333, 66, 175, 2, 3, 3, 128).unwrap());
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let mut model = model(&ModelConfig::llama(2000, 128, 384, 1, 4, 2, 128).unwrap());
    let alone = in_company(&model, 0, 0, 23);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        // The model is moved to the pool and back: a tensor is not shared between threads.
        let (found, back) = pool.install(move || (in_company(&model, 30, 1, 10), model));
        assert!(alone == found, "{threads} threads");
        model = back;
    }
}

#[test]
fn tokens_that_do_not_fit_are_refused_and_change_nothing() {
    let model = model(&config(Architecture::Llama));
    for numerics in [Numerics::Invariant, Numerics::Fast] {
        let mut decoder = decoder(&model, numerics);
        let mut group = DecodeGroup::new(&[], 2, 3).unwrap();
        let mut extend = |ids: &[u32]| decoder.extend(&mut [(&mut group, ids)]).map(|states| states.rows());
        assert!(matches!(extend(&[1, 2, 3]), Err(ModelError::Group { tokens: 3, rows: 2, .. })));
        assert!(matches!(extend(&[]), Err(ModelError::Group { tokens: 0, .. })));
        assert!(matches!(extend(&[1, 50]), Err(ModelError::Token { id: 50, vocab_size: 50 })));
        assert_eq!(extend(&[1, 2]).unwrap(), 2);
        assert!(matches!(extend(&[1; 6]), Err(ModelError::Group { used: 1, capacity: 3, .. })));
        assert_eq!(group.used(), 1);
        assert_eq!(decoder.extend(&mut []).unwrap().rows(), 0);
    }
}

#[test]
fn keys_of_another_model_are_refused() {
    let mut other = decoder(&model(&config(Architecture::Qwen3)), Numerics::Invariant);
    let segment = prefill(&mut other, &[1, 2], 2).0.suffix(0, 0..2);
    assert_eq!(segment.len(), 2);
    let mut group = DecodeGroup::new(&[segment], 1, 1).unwrap();
    let mut decoder = decoder(&model(&config(Architecture::Llama)), Numerics::Invariant);
    let error = decoder.extend(&mut [(&mut group, &[1])]).unwrap_err();
    assert_eq!(error.to_string(), "keys and values of another model's pool");
}

#[test]
fn blocks_are_shared_and_come_back() {
    let model = model(&config(Architecture::Llama));
    // 3 layers of 2 heads of 8 numbers: 16 tokens' keys and values; values are filled up to whole vectors on the processor.
    for (numerics, numbers) in [(Numerics::Invariant, 3 * 2 * 16 * (8 + 16)), (Numerics::Fast, 3 * 2 * 16 * 2 * 8)] {
        let mut decoder = Decoder::new(&model, numerics, 5 * 4 * numbers).unwrap();
        let pool = decoder.pool().clone();
        assert_eq!((pool.block_bytes(), pool.limit()), (4 * numbers, 5));
        let prompt = tokens(20, 50, 1);
        let (group, _) = prefill(&mut decoder, &prompt, 7);
        assert_eq!(pool.in_use(), 2);
        let segment = group.suffix(0, 0..20);
        drop(group);
        // Three siblings of one token: the first goes on in the prefix's last block, of which 12 places are free.
        let mut siblings = DecodeGroup::new(&[segment], 3, 40).unwrap();
        let blocks_for = |group: &DecodeGroup, tokens| group.blocks_for(tokens, &mut HashSet::default());
        assert_eq!((blocks_for(&siblings, 1), blocks_for(&siblings, 13)), (2, 3));
        decoder.extend(&mut [(&mut siblings, &[1, 2, 3])]).unwrap();
        assert_eq!((pool.in_use(), blocks_for(&siblings, 11), blocks_for(&siblings, 15)), (4, 0, 1));
        // Two of them end; the second goes on.
        siblings.keep_rows(&[1]);
        assert_eq!(pool.in_use(), 3);
        decoder.extend(&mut [(&mut siblings, &[9; 10])]).unwrap();
        assert_eq!(pool.in_use(), 3);
        // Two that were one so far: one of them goes on in the block, the other in a new one.
        siblings.keep_rows(&[0, 0]);
        assert_eq!(blocks_for(&siblings, 1), 1);
        let states = decoder.extend(&mut [(&mut siblings, &[4, 5])]).unwrap();
        assert_eq!(pool.in_use(), 4);
        for (place, id) in [(0, 4), (1, 5)] {
            let ids = [&prompt[..], &[2], &[9; 10], &[id]].concat();
            assert_close(&row(&states, place), &naive(&model, &ids), "a row that shares its block");
        }
        let full = decoder.extend(&mut [(&mut siblings, &[1; 32])]);
        if numerics == Numerics::Fast {
            assert_eq!(full.unwrap_err().to_string(), "all 5 blocks for keys and values are in use");
            assert_eq!((siblings.used(), pool.in_use(), pool.most_in_use()), (12, 4, 5));
        } else {
            // Main memory goes beyond the limit rather than fail.
            full.unwrap();
            assert_eq!((pool.in_use(), pool.most_in_use()), (6, 6));
        }
        drop(siblings);
        assert_eq!(pool.in_use(), 0);
    }
}
