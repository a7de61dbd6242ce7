use super::*;
use crate::{Architecture, DecodeGroup, Decoder, Numerics};
use std::fs;

fn config() -> ModelConfig {
    ModelConfig::llama(50, 32, 48, 2, 4, 2, 64).unwrap()
}

fn model(seed: u64) -> Transformer {
    Transformer::init(&config(), seed, Device::Cpu).unwrap()
}

fn head() -> Tensor {
    Tensor::linspace(-3.0, 3.0, 32, (Kind::Float, Device::Cpu))
}

/// [1, 1, n, n]
fn causal(n: i64) -> Tensor {
    Tensor::full([1, 1, n, n], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(1)
}

fn ids(batch: i64, tokens: i64) -> Tensor {
    (Tensor::arange(batch * tokens, (Kind::Int64, Device::Cpu)) * 7).remainder(50).view([batch, tokens])
}

fn positions(batch: i64, tokens: i64) -> Tensor {
    Tensor::arange(tokens, (Kind::Int64, Device::Cpu)).expand([batch, tokens], false)
}

fn largest(difference: &Tensor) -> f64 {
    difference.abs().max().double_value(&[])
}

#[test]
fn equal_seeds_give_equal_weights() {
    tch::manual_seed(1);
    let first = model(3).hash();
    tch::manual_seed(2);
    assert_eq!(model(3).hash(), first);
    assert_ne!(model(4).hash(), first);
    // A change of the generator or of the order of weights is a change of every run.
    assert_eq!(first, "7355aceaa951855cb16dcc36f05b649e71167e09e83ef6c3da60a9f00728729e");
}

#[test]
fn fresh_weights_have_deviations_of_one_over_root_inputs() {
    let config = ModelConfig::llama(500, 128, 256, 2, 4, 2, 64).unwrap();
    let model = Transformer::init(&config, 1, Device::Cpu).unwrap();
    for (name, tensor) in model.parameters() {
        let (mean, deviation) = (tensor.mean(Kind::Double).double_value(&[]), tensor.std(true).double_value(&[]));
        let wanted = match name {
            _ if name.ends_with("norm.weight") => 0.0,
            // Into the residual stream of two layers: divided by sqrt(4).
            _ if name.ends_with("o_proj.weight") => 0.5 / 128_f64.sqrt(),
            _ if name.ends_with("down_proj.weight") => 0.5 / 256_f64.sqrt(),
            _ => 1.0 / 128_f64.sqrt(),
        };
        assert!((deviation - wanted).abs() < 0.03 * wanted + 1e-9, "{name}: {deviation}");
        assert!((mean - if wanted == 0.0 { 1.0 } else { 0.0 }).abs() < 4e-3, "{name}: {mean}");
    }
}

#[test]
fn the_hash_sees_weights_and_value_head() {
    let mut model = model(3);
    let before = model.hash();
    model.set_value_head(Some(head())).unwrap();
    let with_head = model.hash();
    assert_ne!(with_head, before);
    model.set_value_head(None).unwrap();
    assert_eq!(model.hash(), before);
    let (_, norm) = model.parameters().last().unwrap();
    norm.shallow_clone().get(5).copy_(&Tensor::from(1.5_f32));
    assert_ne!(model.hash(), before);
}

#[test]
fn gradients_reach_every_weight_and_are_right() {
    let mut model = model(3);
    let (targets, rows) = (ids(2, 6).flatten(0, -1), 12);
    let loss = |model: &Transformer| {
        let hidden = model.hidden(&ids(2, 6), &positions(2, 6), &causal(6));
        -model.token_logprobs(&hidden.view([rows, -1]), &targets).mean(Kind::Float)
    };
    assert!(!loss(&model).requires_grad(), "fresh models collect no gradients");
    model.set_trainable(true);
    loss(&model).backward();
    let all: Vec<(String, Tensor)> =
        model.parameters().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
    model.set_trainable(false);
    for (name, tensor) in all {
        let gradient = tensor.grad();
        assert!(gradient.defined() && largest(&gradient) > 0.0, "{name} has no gradient");
        // A step along the gradient changes the loss by its squared length.
        let step = 0.002 / gradient.norm().double_value(&[]);
        let mut moved = tensor.shallow_clone();
        let mut at = |times: f64| {
            let _ = moved.f_add_(&(&gradient * (step * times))).unwrap();
            loss(&model).double_value(&[])
        };
        let (above, below) = (at(1.0), at(-2.0));
        at(1.0);
        let (slope, wanted) = ((above - below) / (2.0 * step), gradient.square().sum(Kind::Float).double_value(&[]));
        assert!((slope - wanted).abs() < 0.05 * wanted, "{name}: {slope} instead of {wanted}");
    }
}

#[test]
fn a_mask_hides_what_it_says() {
    let model = model(3);
    // Two sequences of 4 packed into one row: each as if it were alone.
    let packed = ids(1, 8);
    let apart = packed.view([2, 4]);
    let mask = causal(8);
    let _ = mask.narrow(2, 4, 4).narrow(3, 0, 4).fill_(f64::NEG_INFINITY);
    let together = model.hidden(&packed, &positions(2, 4).reshape([1, 8]), &mask);
    let alone = model.hidden(&apart, &positions(2, 4), &causal(4));
    assert!(largest(&(together.view([2, 4, -1]) - alone)) < 1e-5);
    // One mask for each sequence is the same as one for all.
    let each = model.hidden(&apart, &positions(2, 4), &causal(4).expand([2, 1, 4, 4], false));
    assert!(largest(&(each - model.hidden(&apart, &positions(2, 4), &causal(4)))) < 1e-5);
}

#[test]
fn token_logprobs_are_those_of_the_logits() {
    let model = Transformer::init(&ModelConfig::llama(1 << 20, 8, 8, 1, 2, 1, 64).unwrap(), 1, Device::Cpu).unwrap();
    // 40 rows of a million logits are made in three parts.
    let hidden = Tensor::randn([40, 8], (Kind::Float, Device::Cpu)) * 20.0;
    let targets = Tensor::arange(40, (Kind::Int64, Device::Cpu)) * 20_000;
    let found = model.token_logprobs(&hidden, &targets);
    let wanted = model.logits(&hidden).log_softmax(-1, Kind::Float).gather(1, &targets.unsqueeze(1), false).squeeze();
    assert_eq!(found.size(), [40]);
    assert!(largest(&(found - wanted)) < 1e-4);
}

#[test]
fn values_are_the_tangent_of_a_product() {
    let mut model = model(3);
    model.set_value_head(Some(head())).unwrap();
    let hidden = Tensor::randn([2, 3, 32], (Kind::Float, Device::Cpu)) * 0.2;
    let found = model.values(&hidden);
    assert_eq!(found.size(), [2, 3]);
    assert!(largest(&(found - hidden.matmul(&head()).tanh())) < 1e-6);
    let error = model.set_value_head(Some(Tensor::zeros([31], (Kind::Float, Device::Cpu)))).unwrap_err();
    assert_eq!(error.to_string(), "tensor value_head.weight has shape [31], but the config wants [32]");
}

#[test]
fn a_value_head_is_saved_beside_the_weights_and_removed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = model(3);
    model.set_value_head(Some(head())).unwrap();
    model.save(folder.path()).unwrap();
    let names: Vec<_> = Tensor::read_safetensors(folder.path().join("value_head.safetensors")).unwrap();
    assert_eq!((names.len(), names[0].0.as_str(), names[0].1.size()), (1, "value_head.weight", vec![32]));
    let mut again = Transformer::load(folder.path(), Device::Cpu, Kind::Float).unwrap();
    assert_eq!(again.hash(), model.hash());
    again.set_value_head(None).unwrap();
    again.save(folder.path()).unwrap();
    assert!(!folder.path().join("value_head.safetensors").exists());
    assert!(Transformer::load(folder.path(), Device::Cpu, Kind::Float).unwrap().value_head().is_none());
}

#[test]
fn an_ensemble_is_the_mean_of_its_heads_and_one_head_of_them_is_one_head() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = model(3);
    let heads = Tensor::stack(&[head(), head() * -0.5, head() + 0.3], 0);
    model.set_value_head(Some(heads.shallow_clone())).unwrap();
    model.save(folder.path()).unwrap();
    let again = Transformer::load(folder.path(), Device::Cpu, Kind::Float).unwrap();
    assert_eq!((again.heads(), again.hash()), (3, model.hash()));
    let hidden = Tensor::randn([2, 4, 32], (Kind::Float, Device::Cpu)) * 0.2;
    let each = hidden.matmul(&heads.tr()).tanh();
    assert!(largest(&(again.head_values(&hidden) - &each)) < 1e-6);
    assert!(largest(&(again.values(&hidden) - each.mean_dim(-1, false, Kind::Float))) < 1e-6);

    model.set_value_head(Some(head().unsqueeze(0))).unwrap();
    assert_eq!((model.heads(), model.value_head().unwrap().size()), (1, vec![32]));
    assert!(largest(&(model.values(&hidden) - each.select(-1, 0))) < 1e-6);
    for shape in [vec![2, 31], vec![0, 32], vec![1, 2, 32]] {
        let head = Tensor::zeros(shape.as_slice(), (Kind::Float, Device::Cpu));
        assert!(model.set_value_head(Some(head)).is_err(), "{shape:?}");
    }
    Tensor::write_safetensors(
        &[("value_head.weight", Tensor::zeros([3, 31], (Kind::Float, Device::Cpu)))],
        folder.path().join("value_head.safetensors"),
    )
    .unwrap();
    let error = Transformer::load(folder.path(), Device::Cpu, Kind::Float).unwrap_err().to_string();
    assert_eq!(error, "tensor value_head.weight has shape [3, 31], but the config wants [3, 32]");
}

#[test]
fn half_precision_stays_close() {
    let folder = tempfile::tempdir().unwrap();
    model(3).save(folder.path()).unwrap();
    let half = Transformer::load(folder.path(), Device::Cpu, Kind::BFloat16).unwrap();
    let hidden = half.hidden(&ids(1, 9), &positions(1, 9), &causal(9));
    assert_eq!(hidden.kind(), Kind::BFloat16);
    let difference = hidden.to_kind(Kind::Float) - model(3).hidden(&ids(1, 9), &positions(1, 9), &causal(9));
    assert!(largest(&difference) < 0.1, "{}", largest(&difference));
    for numerics in [Numerics::Invariant, Numerics::Fast] {
        let mut group = DecodeGroup::new(&[], 1, 9).unwrap();
        let mut decoder = Decoder::new(&half, numerics, 1 << 20).unwrap();
        let last = decoder.extend(&mut [(&mut group, &[0, 7, 14, 21, 28, 35, 42, 49, 6])]).unwrap().to_vec().unwrap();
        assert!(largest(&(Tensor::from_slice(&last) - hidden.select(1, 8).to_kind(Kind::Float))) < 0.1);
    }
    half.save(folder.path()).unwrap();
    assert!(fs::read_to_string(folder.path().join("config.json")).unwrap().contains("\"torch_dtype\": \"bfloat16\""));
}

#[test]
fn a_copy_of_the_tied_embedding_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    model(3).save(folder.path()).unwrap();
    let path = folder.path().join("model.safetensors");
    let mut tensors = Tensor::read_safetensors(&path).unwrap();
    let (_, embedding) = tensors.iter().find(|(name, _)| name == "model.embed_tokens.weight").unwrap();
    tensors.push(("lm_head.weight".to_owned(), embedding.copy()));
    Tensor::write_safetensors(&tensors, &path).unwrap();
    assert_eq!(Transformer::load(folder.path(), Device::Cpu, Kind::Float).unwrap().hash(), model(3).hash());
    tensors.push(("score.weight".to_owned(), Tensor::zeros([1, 32], (Kind::Float, Device::Cpu))));
    Tensor::write_safetensors(&tensors, &path).unwrap();
    let error = Transformer::load(folder.path(), Device::Cpu, Kind::Float).unwrap_err();
    assert!(error.to_string().starts_with("tensor score.weight (shape [1, 32]) in "), "{error}");
}

#[test]
fn a_model_moves_between_threads() {
    let model =
        Transformer::init(&ModelConfig { architecture: Architecture::Mistral, ..config() }, 1, Device::Cpu).unwrap();
    let hash = model.hash();
    assert_eq!(std::thread::spawn(move || model.hash()).join().unwrap(), hash);
}
