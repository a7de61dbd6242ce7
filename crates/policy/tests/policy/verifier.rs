//! Values of given paths.

use crate::tiny::{self, CONTEXT};
use espalier_model::Transformer;
use espalier_policy::{ModelPolicyError, PolicyConfig, StateValue, ValuedPath, Verifier};
use tch::{Device, Kind, Tensor};

/// The tiny model with three heads.
fn model() -> Transformer {
    let mut model = tiny::model(&tiny::tokenizer());
    let heads: Vec<f32> = (0..3 * 32).map(|i| (i as f32 * 0.37).sin() * 0.2).collect();
    model.set_value_head(Some(Tensor::from_slice(&heads).view([3, 32]))).unwrap();
    model
}

/// Ids and ends of the paths of two trees: prompts, steps that are shared, one longer than a chunk of a pass would be.
fn paths() -> Vec<(Vec<u32>, Vec<u32>)> {
    let ids = |from: u32, count: u32| (from..from + count).map(|id| (id * 37) % 200).collect::<Vec<u32>>();
    let path = |pieces: &[Vec<u32>]| {
        let ends = pieces.iter().scan(0, |end, piece| {
            *end += piece.len() as u32;
            Some(*end)
        });
        (pieces.concat(), ends.collect())
    };
    let (first, second) = (ids(0, 20), ids(3, 90));
    vec![
        path(&[first.clone(), ids(50, 7), ids(60, 5)]),
        path(&[first.clone(), ids(50, 7), ids(70, 40)]),
        path(&[second.clone(), ids(10, 1)]),
        path(&[first.clone(), ids(51, 7)]),
        path(std::slice::from_ref(&first)),
        path(&[second, ids(11, 60)]),
        (first, Vec::new()),
    ]
}

/// With so few tokens in a pass and a chunk that pieces are read in parts, and some wait.
fn verifier(model: Transformer, cache_bytes: usize) -> Verifier {
    let config = PolicyConfig { max_prefill_tokens: 40, cache_bytes, threads: 1, ..tiny::config() };
    Verifier::new(model, &config).unwrap()
}

fn values(verifier: &mut Verifier, paths: &[(Vec<u32>, Vec<u32>)]) -> Vec<Vec<StateValue>> {
    let paths: Vec<ValuedPath> = paths.iter().map(|(ids, ends)| ValuedPath { ids, ends }).collect();
    verifier.values(&paths).unwrap()
}

#[test]
fn values_are_those_of_plain_passes() {
    let model = model();
    let mut verifier = verifier(self::model(), 1 << 20);
    assert_eq!((verifier.heads(), verifier.context()), (3, CONTEXT));
    let paths = paths();
    let found = values(&mut verifier, &paths);
    for ((ids, ends), found) in paths.iter().zip(&found) {
        let n = ids.len() as i64;
        let tokens = Tensor::from_slice(&ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>()).view([1, n]);
        let mask = Tensor::full([n, n], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(1).view([1, 1, n, n]);
        let hidden = model.hidden(&tokens, &Tensor::arange(n, (Kind::Int64, Device::Cpu)).view([1, n]), &mask);
        let heads = model.head_values(&hidden);
        assert_eq!(found.len(), ends.len());
        for (&end, value) in ends.iter().zip(found) {
            let of: Vec<f64> = (0..3).map(|head| heads.double_value(&[0, i64::from(end) - 1, head])).collect();
            let mean = of.iter().sum::<f64>() / 3.0;
            let deviation = (of.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
            assert!((value.mean - mean).abs() < 1e-5 && (value.deviation - deviation).abs() < 1e-5, "{value:?} {of:?}");
            assert!(value.deviation > 1e-3);
        }
    }
}

#[test]
fn a_value_depends_on_its_state_alone() {
    let paths = paths();
    let whole = PolicyConfig { threads: 2, ..PolicyConfig::default() };
    let expected = values(&mut Verifier::new(model(), &whole).unwrap(), &paths);
    // So little memory that two paths of the second tree do not fit at once.
    let mut small = verifier(model(), 0);
    assert_eq!(values(&mut small, &paths), expected);
    for (path, expected) in paths.iter().zip(&expected) {
        assert_eq!(&values(&mut small, std::slice::from_ref(path))[0], expected);
    }
    let (ids, ends) = &paths[1];
    let last = vec![(ids.clone(), vec![ends[2]])];
    assert_eq!(values(&mut small, &last)[0], expected[1][2..], "whatever other ends it is cut at");
    assert!(values(&mut small, &[]).is_empty());
}

#[test]
fn what_cannot_be_valued_is_named() {
    let mut bare = model();
    bare.set_value_head(None).unwrap();
    let error = Verifier::new(bare, &tiny::config()).unwrap_err();
    assert!(matches!(error, ModelPolicyError::NoValueHead) && error.to_string().contains("step-train verifier"));

    let mut verifier = verifier(model(), 1 << 20);
    let good = vec![1, 2, 3];
    let mut refused = |ids: &[u32], ends: &[u32]| {
        let error = verifier.values(&[ValuedPath { ids: &good, ends: &[1] }, ValuedPath { ids, ends }]).unwrap_err();
        error.to_string()
    };
    assert!(refused(&good, &[2, 2]).starts_with("text 1 cannot be scored: its states end at [2, 2]"));
    assert!(refused(&good, &[0, 2]).contains("[0, 2]") && refused(&good, &[4]).contains("[4]"));
    assert!(refused(&[1, 9999], &[1]).contains("token 9999"));
    let long = format!("{} tokens", CONTEXT + 1);
    assert!(refused(&vec![1; CONTEXT + 1], &[1]).contains(&long));

    let mut broken = model();
    broken.set_value_head(Some(Tensor::full([32], f64::NAN, (Kind::Float, Device::Cpu)))).unwrap();
    let error = self::verifier(broken, 1 << 20).values(&[ValuedPath { ids: &good, ends: &[2] }]).unwrap_err();
    assert!(error.to_string().contains("no number"), "{error}");
}
