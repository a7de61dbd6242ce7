use super::*;
use crate::ModelError;
use std::fs;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

fn wanted(names: &[(&str, &[i64])]) -> Vec<(String, Vec<i64>)> {
    names.iter().map(|&(name, shape)| (name.to_owned(), shape.to_vec())).collect()
}

fn two() -> [(&'static str, Tensor); 2] {
    [("b", Tensor::from_slice(&[1.5_f32, -2.0, 3.25, 0.0]).view([2, 2])), ("a", Tensor::from_slice(&[7.0_f32]))]
}

fn write(path: &std::path::Path, tensors: &[(&'static str, Tensor)]) {
    write_file(path, tensors.iter().map(|(name, tensor)| (*name, tensor))).unwrap();
}

#[test]
fn tensors_come_back_in_the_order_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(WEIGHTS);
    write(&path, &two());
    let read =
        read_folder(folder.path(), &wanted(&[("a", &[1]), ("b", &[2, 2])]), |_| false, CPU, Kind::Float).unwrap();
    assert_eq!(read, [two()[1].1.shallow_clone(), two()[0].1.shallow_clone()]);
    // Hidden files of the writing are gone.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn every_float_type_is_read_as_the_wanted_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    for stored in [Kind::Double, Kind::Float, Kind::Half, Kind::BFloat16] {
        write(&path, &two().map(|(name, tensor)| (name, tensor.to_kind(stored))));
        for kind in [Kind::Float, Kind::BFloat16] {
            let read = read_file(&path, &wanted(&[("a", &[1]), ("b", &[2, 2])]), CPU, kind).unwrap();
            assert!(read[1].kind() == kind && read[1].to_kind(Kind::Float) == two()[0].1, "{stored:?} to {kind:?}");
        }
    }
    write(&path, &two().map(|(name, tensor)| (name, tensor.transpose(0, -1).to_kind(Kind::Float))));
    let read = read_file(&path, &wanted(&[("a", &[1]), ("b", &[2, 2])]), CPU, Kind::Float).unwrap();
    assert_eq!(read[1], two()[0].1.transpose(0, 1), "a tensor that is not contiguous");
    Tensor::write_safetensors(&[("a", Tensor::from_slice(&[1_i64]))], &path).unwrap();
    let error = read_file(&path, &wanted(&[("a", &[1])]), CPU, Kind::Float).unwrap_err();
    assert_eq!(error.to_string(), "tensor a has data type I64; only F64, F32, F16 and BF16 are read");
}

#[test]
fn shards_are_found_through_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let [b, a] = two();
    write(&folder.path().join("one.safetensors"), &[b]);
    write(&folder.path().join("two.safetensors"), &[a]);
    let index = folder.path().join(INDEX);
    fs::write(&index, r#"{"weight_map": {"a": "two.safetensors", "b": "one.safetensors"}}"#).unwrap();
    let read = |names: &[(&str, &[i64])]| read_folder(folder.path(), &wanted(names), |_| false, CPU, Kind::Float);
    assert_eq!(read(&[("a", &[1]), ("b", &[2, 2])]).unwrap()[0], two()[1].1);
    let error = read(&[("a", &[1]), ("b", &[2, 2]), ("c", &[3])]).unwrap_err();
    assert!(matches!(&error, ModelError::MissingTensor { name, path, .. } if name == "c" && path == folder.path()));
    fs::write(&index, r#"{"weight_map": {"a": "../two.safetensors"}}"#).unwrap();
    let error = read(&[("a", &[1])]).unwrap_err().to_string();
    assert!(error.ends_with("\"../two.safetensors\" is not the name of a file beside it"), "{error}");
}

#[test]
fn tensors_that_do_not_fit_are_named_with_their_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    write(&path, &two());
    let error = |names: &[(&str, &[i64])]| read_file(&path, &wanted(names), CPU, Kind::Float).unwrap_err().to_string();
    assert_eq!(error(&[("a", &[1]), ("b", &[4])]), "tensor b has shape [2, 2], but the config wants [4]");
    assert_eq!(
        error(&[("a", &[1])]),
        format!("tensor b (shape [2, 2]) in {} does not belong to the model", path.display())
    );
    assert_eq!(error(&[("c", &[9])]), format!("tensor c (shape [9]) is missing in {}", path.display()));
}

#[test]
fn files_that_are_cut_off_or_foreign_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let read = || read_file(&path, &wanted(&[("a", &[1]), ("b", &[2, 2])]), CPU, Kind::Float);
    assert!(matches!(read().unwrap_err(), ModelError::Read { .. }));
    write(&path, &two());
    let whole = fs::read(&path).unwrap();
    assert!(read().is_ok());
    for bytes in
        [&whole[..4], &whole[..20], &whole[..whole.len() - 1], &[&whole[..], b"x"].concat(), b"not a model at all"]
    {
        fs::write(&path, bytes).unwrap();
        let error = read().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{} is broken: ", path.display())), "{error}");
    }
}
