//! A pass through a model takes as many operators for many requests as for one.

use espalier_model::{DecodeGroup, Decoder, ModelConfig, Numerics, Transformer};
use espalier_operators::operators;
use tch::{Device, Kind, Tensor};

#[test]
fn operators_are_counted() {
    let (one, x) = operators(|| Tensor::ones([2, 2], (Kind::Float, Device::Cpu)));
    let (added, _) = operators(|| &x + &x);
    assert!(one >= 1 && added == 1, "{one} {added}");

    // One decode pass of requests with prefixes and siblings of their own, then one in which some read their prefixes.
    let config = ModelConfig::llama(100, 32, 64, 3, 4, 2, 64).unwrap();
    let model = Transformer::init(&config, 1, Device::Cpu).unwrap();
    let count = |numerics: Numerics, requests: usize, mixed: bool| {
        let mut decoder = Decoder::new(&model, numerics, 1 << 24).unwrap();
        let mut groups: Vec<DecodeGroup> = (0..requests)
            .map(|request| {
                let prompt: Vec<u32> = (0..3 + request % 20).map(|id| id as u32).collect();
                let mut group = DecodeGroup::new(&[], 1, prompt.len()).unwrap();
                decoder.extend(&mut [(&mut group, &prompt)]).unwrap();
                DecodeGroup::new(&[group.suffix(0, 0..prompt.len())], 1 + request % 3, 8).unwrap()
            })
            .collect();
        let tokens = |request: usize| if mixed && request % 2 == 1 { 5 } else { 1 };
        let ids: Vec<Vec<u32>> =
            groups.iter().enumerate().map(|(at, group)| vec![7; tokens(at) * group.rows()]).collect();
        let mut calls: Vec<_> = groups.iter_mut().zip(ids.iter().map(Vec::as_slice)).collect();
        operators(|| decoder.extend(&mut calls).unwrap()).0
    };
    let one = count(Numerics::Fast, 1, false);
    // 3 layers of some 200, views and operators within operators among them, and a few dozen for the whole pass.
    assert!((500..900).contains(&one), "{one} operators");
    for requests in [8, 64, 256] {
        assert_eq!(count(Numerics::Fast, requests, false), one, "{requests} requests");
    }
    let mixed = count(Numerics::Fast, 8, true);
    assert!(mixed < 2 * one);
    let many = count(Numerics::Fast, 256, true);
    assert!(many.abs_diff(mixed) < 5, "{many} operators, {mixed} for fewer");
    // On the processor the kernels are this project's own.
    assert_eq!(count(Numerics::Invariant, 64, true), 0);
}
