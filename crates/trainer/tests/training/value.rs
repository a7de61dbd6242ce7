//! Value-head regression.

use crate::toy;
use espalier_trainer::{SkipReason, TrainConfig};
use tch::{Device, Kind, Tensor};

#[test]
fn the_head_fits_and_the_policy_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = toy::model();
    let before = toy::bits(&model);
    let config = TrainConfig { epochs: 400, learning_rate: 3e-2, batch_size: 32, ..toy::config() };
    let data = toy::valued(32);
    let summary = toy::trainer(&mut model, &config, folder.path(), &mut ()).value(&data).unwrap();
    let losses = toy::column(folder.path(), "loss");
    // A head of zeros says 0 everywhere: its loss is the mean square of the targets, 0.4 and 0.7.
    assert!((losses[0] - 0.325).abs() < 1e-5);
    assert!(summary.final_loss < 0.02, "{}", summary.final_loss);
    assert_eq!(toy::bits(&model), before);
    // What the model itself says of a state is what was fitted.
    let n = data[1].ids.len() as i64;
    let ids = Tensor::from_slice(&data[1].ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>()).view([1, n]);
    let mask = Tensor::full([n, n], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(1).view([1, 1, n, n]);
    let hidden = model.hidden(&ids, &Tensor::arange(n, (Kind::Int64, Device::Cpu)).view([1, n]), &mask);
    let values = model.values(&hidden);
    assert!((values.double_value(&[0, 2]) + 0.7).abs() < 0.3, "{values}");
    assert!((values.double_value(&[0, 0]) + 0.4).abs() < 0.3, "{values}");
}

#[test]
fn training_goes_on_from_the_head_that_is_there() {
    let config = TrainConfig { epochs: 20, learning_rate: 1e-2, ..toy::config() };
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut model, data) = (toy::model(), toy::valued(16));
    toy::trainer(&mut model, &config, first.path(), &mut ()).value(&data).unwrap();
    toy::trainer(&mut model, &config, second.path(), &mut ()).value(&data).unwrap();
    let (first, second) = (toy::column(first.path(), "loss"), toy::column(second.path(), "loss"));
    assert!(second[0] < 0.8 * first[0]);
}

#[test]
fn bad_step_ends_and_targets_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = toy::valued(5);
    data[0].targets[1] = f32::NAN;
    data[1].step_ends = vec![2, 100];
    data[2].step_ends = vec![3, 2];
    data[3].targets.pop();
    let summary = toy::trainer(&mut toy::model(), &toy::config(), folder.path(), &mut ()).value(&data).unwrap();
    let reasons: Vec<String> = summary.skipped.iter().map(|skipped| skipped.reason.to_string()).collect();
    assert_eq!(reasons[0], "its target is NaN");
    assert_eq!(summary.skipped[1].reason, SkipReason::Inconsistent { field: "step_ends".into() });
    assert_eq!(reasons[1..3], ["its step_ends do not fit its tokens", "its step_ends do not fit its tokens"]);
    assert_eq!(reasons[3], "its targets do not fit its tokens");
}
