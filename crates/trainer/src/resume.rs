//! The state from which a killed training continues, in `trainer_state/`:
//!
//! ```text
//!   trainer_state/step-00000120/tensors.safetensors   parameters and, unless it is finished, both moments by name
//!   trainer_state/step-00000120/state.json            step, identity of the run, whether it is finished
//!   trainer_state/best.safetensors                    the parameters of the lowest held-out loss (early stopping)
//!   trainer_state/reference-<key>.safetensors         reference log-probabilities (preference training)
//! ```
//!
//! A finished state's folder ends in `-finished`. A state is written under another name and renamed when it is whole; only
//! then is the one before it removed, so at any
//! moment one whole state exists once the first was saved. The order of the examples follows from the seed and the step,
//! so no generator has a state of its own to keep.

use crate::TrainerError;
use crate::error::at;
use crate::optimizer::AdamW;
use espalier_files::{Existing, Unpublished, publish_folder, publish_json, remove_folder, sweep};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::Tensor;

const FORMAT_VERSION: u32 = 1;

/// How the folder of a finished state's step ends.
const FINISHED: &str = "-finished";

/// The parameters of the lowest held-out loss.
const BEST: &str = "best.safetensors";

/// What must be the same for a state to be continued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// `sft`, `preference`, ...
    pub stage: String,
    /// Everything of the configuration that the result depends on.
    pub config: Value,
    /// Hash of the examples.
    pub data: String,
    /// Hash of the model that training starts from.
    pub model: String,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    format_version: u32,
    step: u64,
    finished: bool,
    identity: Identity,
}

/// Saves and finds the states of one training.
#[derive(Debug)]
pub(crate) struct SavedStates {
    folder: PathBuf,
    identity: Identity,
    save_every_s: f64,
    last_save: Instant,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub step: u64,
    pub finished: bool,
    path: PathBuf,
}

impl Found {
    /// Puts the optimiser and the parameters where they were.
    pub fn restore(&self, optimizer: &mut AdamW) -> Result<(), TrainerError> {
        let path = self.path.join("tensors.safetensors");
        let bad = |reason| TrainerError::BadState { path: path.clone(), reason };
        let saved = Tensor::read_safetensors(&path).map_err(|e| bad(e.to_string()))?;
        let restored = if self.finished {
            optimizer.restore_parameters(&saved, self.step)
        } else {
            optimizer.restore(&saved, self.step)
        };
        restored.map_err(bad)
    }
}

impl SavedStates {
    /// The states below `work`.
    pub fn new(work: &Path, identity: Identity, save_every_s: f64) -> Result<SavedStates, TrainerError> {
        let folder = state_folder(work);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(SavedStates { folder, identity, save_every_s, last_save: Instant::now() })
    }

    /// The newest whole state, if there is one; leftovers of a killed process are removed.
    pub fn find(&self) -> Result<Option<Found>, TrainerError> {
        sweep(&self.folder)?;
        let mut states: Vec<((u64, bool), PathBuf)> =
            self.entries()?.into_iter().filter_map(|path| Some((order_of(&path)?, path))).collect();
        states.sort();
        let newest = states.pop();
        for (_, path) in states {
            remove_folder(&path)?;
        }
        let Some((_, path)) = newest else { return Ok(None) };
        let state = SavedStates::read(&path.join("state.json"))?;
        let same = |equal, what| {
            if equal { Ok(()) } else { Err(TrainerError::ForeignState { path: path.clone(), what }) }
        };
        same(state.identity.stage == self.identity.stage, "stage")?;
        same(state.identity.config == self.identity.config, "configuration")?;
        same(state.identity.data == self.identity.data, "set of examples")?;
        same(state.identity.model == self.identity.model, "starting model")?;
        Ok(Some(Found { step: state.step, finished: state.finished, path }))
    }

    fn read(path: &Path) -> Result<StateFile, TrainerError> {
        let bad = |reason| TrainerError::BadState { path: path.to_owned(), reason };
        let text = fs::read_to_string(path).map_err(at(path))?;
        let state: StateFile = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if state.format_version != FORMAT_VERSION {
            return Err(bad(format!("its format version is {}, not {FORMAT_VERSION}", state.format_version)));
        }
        Ok(state)
    }

    /// Whether the last save is long enough ago.
    pub fn due(&self) -> bool {
        self.last_save.elapsed().as_secs_f64() >= self.save_every_s
    }

    /// Saves the state after the optimiser's last step.
    pub fn save(&mut self, optimizer: &AdamW, finished: bool) -> Result<(), TrainerError> {
        let step = optimizer.steps();
        let state = StateFile { format_version: FORMAT_VERSION, step, finished, identity: self.identity.clone() };
        // The last step may have been saved before it was known to be the last.
        let target = self.folder.join(format!("step-{step:08}{}", if finished { FINISHED } else { "" }));
        let named = if finished { optimizer.named_parameters() } else { optimizer.named() };
        publish_folder(&target, Existing::Replaced, |folder| {
            Tensor::write_safetensors(&named, folder.join("tensors.safetensors"))?;
            Ok::<_, TrainerError>(publish_json(&folder.join("state.json"), &state)?)
        })?;
        for path in self.entries()? {
            if path != target && order_of(&path).is_some() {
                remove_folder(&path)?;
            }
        }
        self.last_save = Instant::now();
        Ok(())
    }

    /// Keeps the parameters as the best so far.
    pub fn save_best(&self, optimizer: &AdamW) -> Result<(), TrainerError> {
        let file = Unpublished::create(&self.folder.join(BEST))?;
        Tensor::write_safetensors(&optimizer.named_parameters(), file.hidden_path())?;
        Ok(file.publish()?)
    }

    /// Goes back to the parameters that were kept as the best.
    pub fn restore_best(&self, optimizer: &mut AdamW) -> Result<(), TrainerError> {
        let path = self.folder.join(BEST);
        let bad = |reason| TrainerError::BadState { path: path.clone(), reason };
        let saved = Tensor::read_safetensors(&path).map_err(|e| bad(e.to_string()))?;
        let steps = optimizer.steps();
        optimizer.restore_parameters(&saved, steps).map_err(bad)
    }

    fn entries(&self) -> Result<Vec<PathBuf>, TrainerError> {
        let read = || fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect();
        let entries: std::io::Result<Vec<PathBuf>> = read();
        entries.map_err(at(&self.folder))
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The step of a state's folder, and whether it is a finished one's; nothing for other files.
fn order_of(path: &Path) -> Option<(u64, bool)> {
    let name = name_of(path).strip_prefix("step-")?;
    let step = name.strip_suffix(FINISHED);
    Some((step.unwrap_or(name).parse().ok()?, step.is_some()))
}

/// Where the states of a training lie; they serve only to go on after a kill, and may be removed once its result is
/// published.
pub fn state_folder(work: &Path) -> PathBuf {
    work.join("trainer_state")
}
