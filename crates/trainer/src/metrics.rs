//! What is recorded of each optimiser step: `metrics.jsonl`, one object a line, and the same numbers for `TensorBoard`.
//!
//! Names are those of TRL's `DPOTrainer`, so that its users' plots work unchanged.

use crate::TrainerError;
use crate::error::at;
use crate::tensorboard::EventWriter;
use espalier_files::publish_bytes;
use serde_json::{Map, Value};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Follows a training.
pub trait Observer {
    /// Called after each optimiser step, counted from 1. An error stops the training at once and is returned;
    /// [`TrainerError::Stopped`] stops it after saving its state.
    fn step(&mut self, step: u64, total: u64, loss: f64) -> Result<(), TrainerError>;

    /// Called once when the numbers give reason to doubt the training.
    fn warn(&mut self, _warning: &str) {}

    /// Called while the reference's log-probabilities, or the states for the value head, are computed.
    fn preparing(&mut self, _done: usize, _total: usize) -> Result<(), TrainerError> {
        Ok(())
    }
}

/// Follows nothing.
impl Observer for () {
    fn step(&mut self, _step: u64, _total: u64, _loss: f64) -> Result<(), TrainerError> {
        Ok(())
    }
}

/// The numbers of one step, by name, in the order in which they are written.
pub(crate) type Numbers = Vec<(&'static str, f64)>;

/// The record of a training.
#[derive(Debug)]
pub(crate) struct MetricsLog {
    file: File,
    path: PathBuf,
    events: EventWriter,
}

impl MetricsLog {
    /// Opens the record in `folder` for the steps after `step`; what it says about later ones is cut off.
    pub fn open(folder: &Path, step: u64) -> Result<MetricsLog, TrainerError> {
        let path = folder.join("metrics.jsonl");
        let kept = match fs::read_to_string(&path) {
            Ok(text) => up_to(&text, step),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(at(&path)(e)),
        };
        publish_bytes(&path, kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
        Ok(MetricsLog { file, path, events: EventWriter::create(&folder.join("tb"), step + 1)? })
    }

    /// Writes the numbers of `step`, those of a look at the held-out pairs with `eval/` before their names.
    pub fn write(&mut self, step: u64, numbers: &Numbers, held_out: Option<&Numbers>) -> Result<(), TrainerError> {
        let held_out = held_out.into_iter().flatten().map(|&(name, value)| (format!("eval/{name}"), value));
        let numbers: Vec<(String, f64)> =
            numbers.iter().map(|&(name, value)| (name.to_owned(), value)).chain(held_out).collect();
        let mut line = Map::new();
        line.insert("step".into(), step.into());
        line.extend(numbers.iter().map(|(name, value)| (name.clone(), Value::from(*value))));
        let text = format!("{}\n", Value::Object(line));
        self.file.write_all(text.as_bytes()).map_err(at(&self.path))?;
        self.events.scalars(step, numbers.iter().map(|(name, value)| (name.as_str(), *value)))
    }
}

/// The mean of the losses that `metrics.jsonl` in `folder` has of the steps after `step`; 0 if it has none.
pub(crate) fn mean_loss_after(folder: &Path, step: u64) -> Result<f64, TrainerError> {
    let path = folder.join("metrics.jsonl");
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let losses: Vec<f64> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["step"].as_u64().is_some_and(|this| this > step))
        .filter_map(|line| line["loss"].as_f64())
        .collect();
    Ok(losses.iter().sum::<f64>() / losses.len().max(1) as f64)
}

/// The lines that `metrics.jsonl` in `folder` has of looks at held-out pairs, up to `step`; none if there is no file.
pub(crate) fn evaluations(folder: &Path, step: u64) -> Result<Vec<(u64, Value)>, TrainerError> {
    let path = folder.join("metrics.jsonl");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let looks = lines.filter(|line| line.get("eval/loss").is_some());
    Ok(looks.filter_map(|line| Some((line["step"].as_u64()?, line))).filter(|(this, _)| *this <= step).collect())
}

/// The whole lines of `text` about steps up to `step`.
fn up_to(text: &str, step: u64) -> String {
    let about = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("step")?.as_u64();
    text.split_inclusive('\n')
        .take_while(|line| line.ends_with('\n') && about(line).is_some_and(|this| this <= step))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_and_torn_lines_are_cut_off_on_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(folder.path(), 0).unwrap();
        for step in 1..=3 {
            log.write(step, &vec![("loss", 1.5), ("rewards/margins", -0.25)], None).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        let first = written.split_inclusive('\n').next().unwrap();
        let numbers: Value = serde_json::from_str(first).unwrap();
        assert_eq!(numbers, serde_json::json!({"step": 1, "loss": 1.5, "rewards/margins": -0.25}));
        log.file.write_all(b"{\"step\":4,\"lo").unwrap();
        MetricsLog::open(folder.path(), 3).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        MetricsLog::open(folder.path(), 1).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        MetricsLog::open(folder.path(), 0).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
