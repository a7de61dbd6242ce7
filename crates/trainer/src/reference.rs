//! The reference's log-probabilities: computed once by the model that training starts from, before its first step, and
//! kept in a file. No second model is ever held in memory.

use crate::batch::{Batch, Group, Masks, parts};
use crate::metrics::Observer;
use crate::resume::Identity;
use crate::start::Trained;
use crate::{TrainConfig, TrainerError, fingerprint::key};
use espalier_files::Unpublished;
use std::path::Path;
use tch::{Kind, Tensor, no_grad};

const TENSOR: &str = "logprobs";

/// log ref(step | prompt) of every step, in nats, group after group; from `state_folder` if they are there for the same
/// model and examples.
pub(crate) fn reference_logprobs(
    trained: Trained,
    groups: &[Group],
    config: &TrainConfig,
    identity: &Identity,
    state_folder: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, TrainerError> {
    let way = format!("{:?} {:?}", config.layout, config.precision);
    let key = key(&[&identity.stage, &identity.model, &identity.data, &way]);
    let path = state_folder.join(format!("reference-{}.safetensors", &key[..16]));
    let steps: usize = groups.iter().map(|group| group.steps.len()).sum();
    if path.exists() {
        return read(&path, steps);
    }
    let logprobs = compute(trained, groups, config, observer)?;
    let file = Unpublished::create(&path)?;
    Tensor::write_safetensors(&[(TENSOR, &Tensor::from_slice(&logprobs))], file.hidden_path())?;
    file.publish()?;
    Ok(logprobs)
}

fn read(path: &Path, steps: usize) -> Result<Vec<f64>, TrainerError> {
    let bad = |reason| TrainerError::BadState { path: path.to_owned(), reason };
    let tensors = Tensor::read_safetensors(path).map_err(|e| bad(e.to_string()))?;
    let found = tensors.iter().find(|(name, _)| name == TENSOR);
    let (_, tensor) = found.ok_or_else(|| bad(format!("tensor {TENSOR} is missing")))?;
    let logprobs = Vec::<f64>::try_from(tensor).map_err(|e| bad(e.to_string()))?;
    if logprobs.len() != steps {
        return Err(bad(format!("it holds {} numbers for {steps} steps", logprobs.len())));
    }
    Ok(logprobs)
}

/// As [`reference_logprobs`], without a file.
pub(crate) fn compute(
    Trained { model, window, device }: Trained,
    groups: &[Group],
    config: &TrainConfig,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, TrainerError> {
    let starts: Vec<usize> = groups
        .iter()
        .scan(0, |next, group| {
            let start = *next;
            *next += group.steps.len();
            Some(start)
        })
        .collect();
    let mut logprobs = vec![0.0; starts.last().map_or(0, |last| last + groups[groups.len() - 1].steps.len())];
    let all: Vec<usize> = (0..groups.len()).collect();
    let mut masks = Masks::default();
    let mut done = 0;
    for rows in parts(groups, &all, config.layout, config.micro_batch_tokens) {
        let part: Vec<Group> = rows.iter().map(|&row| groups[row].clone()).collect();
        let batch = Batch::new(&part, config.layout, window, &mut masks, device);
        let computed = no_grad(|| batch.step_logprobs(model, &batch.states(model, false).0));
        let computed: Vec<f64> = Vec::try_from(computed.to_kind(Kind::Double))?;
        let mut computed = computed.into_iter();
        for &row in &rows {
            for slot in &mut logprobs[starts[row]..starts[row] + groups[row].steps.len()] {
                // The batch holds one number for each step of its groups, in their order.
                *slot = computed.next().unwrap_or(f64::NAN);
            }
        }
        done += rows.len();
        observer.preparing(done, groups.len())?;
    }
    Ok(logprobs)
}
