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

    /// Called when the training goes on in another way than asked, as from an older state for want of the newest.
    fn notice(&mut self, _notice: &str) {}

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
    /// Opens the record in `folder` for the steps after the saved one, or for all if none is saved: what is recorded of
    /// steps that come again is cut off, so that no step stands in it twice.
    pub fn open(folder: &Path, saved: Option<u64>) -> Result<MetricsLog, TrainerError> {
        let path = folder.join("metrics.jsonl");
        let kept = match (saved, fs::read(&path)) {
            (Some(step), Ok(bytes)) => up_to(&bytes, step),
            (Some(_), Err(e)) if e.kind() != std::io::ErrorKind::NotFound => return Err(at(&path)(e)),
            _ => Vec::new(),
        };
        publish_bytes(&path, &kept)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
        Ok(MetricsLog { file, path, events: EventWriter::create(&folder.join("tb"), saved)? })
    }

    /// Brings the record to the disk: a state must not outlive the record of its steps.
    pub fn sync(&self) -> Result<(), TrainerError> {
        self.file.sync_all().map_err(at(&self.path))
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
    let bytes = fs::read(&path).map_err(at(&path))?;
    let losses: Vec<f64> = bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|line| line["step"].as_u64().is_some_and(|this| this > step))
        .filter_map(|line| line["loss"].as_f64())
        .collect();
    Ok(losses.iter().sum::<f64>() / losses.len().max(1) as f64)
}

/// The whole lines about steps up to `step`. A cut may lie within a character, so bytes are read, not text.
fn up_to(bytes: &[u8], step: u64) -> Vec<u8> {
    let about = |line: &[u8]| serde_json::from_slice::<Value>(line).ok()?.get("step")?.as_u64();
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .take_while(|line| line.ends_with(b"\n") && about(line).is_some_and(|this| this <= step))
        .flatten()
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_and_torn_lines_are_cut_off_on_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(folder.path(), None).unwrap();
        for step in 1..=3 {
            log.write(step, &vec![("loss", 1.5), ("rewards/margins", -0.25)], None).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        let first = written.split_inclusive('\n').next().unwrap();
        let numbers: Value = serde_json::from_str(first).unwrap();
        assert_eq!(numbers, serde_json::json!({"step": 1, "loss": 1.5, "rewards/margins": -0.25}));
        // Cut within a character.
        log.file.write_all(b"{\"step\":3,\"\xc3").unwrap();
        MetricsLog::open(folder.path(), Some(3)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        MetricsLog::open(folder.path(), Some(1)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        MetricsLog::open(folder.path(), None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
