//! The state from which a killed training continues, in `trainer_state/`:
//!
//! ```text
//!   trainer_state/step-00000120/tensors.safetensors   parameters and, unless it is finished, both moments by name
//!   trainer_state/step-00000120/state.json            step, identity of the run, looks so far, hash of the tensors
//!   trainer_state/best/                               the same of the lowest held-out loss, parameters only
//!   trainer_state/reference-<key>.journal             reference log-probabilities (preference training)
//! ```
//!
//! A finished state's folder ends in `-finished`. A state appears whole and carries the hash of its tensors; the two newest
//! are kept, so that one is left when the disk has damaged the other. The order of the examples follows from the seed and
//! the step, so no generator has a state of its own to keep. The parameters of the best look may be of a later step than the
//! state that training goes on from: that step comes again, with the same parameters.

use crate::early_stop::EarlyStop;
use crate::error::at;
use crate::metrics::Observer;
use crate::optimizer::AdamW;
use crate::{TrainConfig, TrainerError};
use espalier_files::{Existing, fingerprint, hash_file, publish_folder, publish_json, remove_folder, sweep};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::Tensor;

const FORMAT_VERSION: u32 = 2;

/// The files of a state.
const TENSORS: &str = "tensors.safetensors";
const STATE: &str = "state.json";

/// How the folder of a finished state's step ends.
const FINISHED: &str = "-finished";

/// The parameters of the lowest held-out loss.
const BEST: &str = "best";

/// States that are kept: the newest, and the one before it should the newest be damaged.
const KEPT: usize = 2;

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

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile {
    format_version: u32,
    /// Fingerprint of `state`.
    checksum: String,
    state: State,
}

#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    finished: bool,
    identity: Identity,
    looks: EarlyStop,
    /// Hash of the file of tensors.
    tensors: String,
}

/// Saves and finds the states of one training.
#[derive(Debug)]
pub(crate) struct SavedStates {
    folder: PathBuf,
    identity: Identity,
    save_every_s: f64,
    /// Whether the best parameters are saved beside the states.
    keeps_best: bool,
    last_save: Instant,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub step: u64,
    pub finished: bool,
    /// The looks up to `step`.
    pub looks: EarlyStop,
    path: PathBuf,
}

impl Found {
    /// Puts the optimiser and the parameters where they were.
    pub fn restore(&self, optimizer: &mut AdamW) -> Result<(), TrainerError> {
        let (saved, bad) = tensors_of(&self.path)?;
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
    pub fn new(work: &Path, identity: Identity, config: &TrainConfig) -> Result<SavedStates, TrainerError> {
        let folder = state_folder(work);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let TrainConfig { save_every_s, patience, .. } = *config;
        Ok(SavedStates { folder, identity, save_every_s, keeps_best: patience > 0, last_save: Instant::now() })
    }

    /// The newest whole state, if there is one; leftovers of a killed process are removed. What is damaged is told to
    /// `observer` and removed.
    pub fn find(&self, observer: &mut dyn Observer) -> Result<Option<Found>, TrainerError> {
        sweep(&self.folder)?;
        let mut states = self.states()?;
        let any = !states.is_empty();
        while let Some(path) = states.pop() {
            let State { step, finished, identity, looks, .. } = match read(&path) {
                Err(damaged @ TrainerError::BadState { .. }) => {
                    observer.notice(&format!("{damaged}; the state before it is looked for"));
                    remove_folder(&path)?;
                    continue;
                }
                state => state?,
            };
            self.check(&path, &identity)?;
            let found = Found { step, finished, looks, path };
            match self.check_best(&found) {
                Err(damaged @ TrainerError::BadState { .. }) => {
                    observer.notice(&damaged.to_string());
                    states.push(found.path);
                    break;
                }
                checked => checked?,
            }
            return Ok(Some(found));
        }
        for path in states {
            remove_folder(&path)?;
        }
        if any {
            observer.notice("no whole state of the training is left; it begins anew");
        }
        Ok(None)
    }

    /// Whether the state is one of this training.
    fn check(&self, path: &Path, identity: &Identity) -> Result<(), TrainerError> {
        let same = |equal, what| {
            if equal { Ok(()) } else { Err(TrainerError::ForeignState { path: path.to_owned(), what }) }
        };
        same(identity.stage == self.identity.stage, "stage")?;
        same(identity.config == self.identity.config, "configuration")?;
        same(identity.data == self.identity.data, "set of examples")?;
        same(identity.model == self.identity.model, "starting model")
    }

    /// Whether the best parameters are there that a state may go back to. Those of a later step come again.
    fn check_best(&self, found: &Found) -> Result<(), TrainerError> {
        let path = self.folder.join(BEST);
        let Some(step) = found.looks.best_step().filter(|_| self.keeps_best && !found.finished) else { return Ok(()) };
        let best = read(&path)?;
        if best.step < step {
            return Err(TrainerError::BadState { path, reason: format!("of step {}, not {step}", best.step) });
        }
        Ok(())
    }

    /// Whether the last save is long enough ago.
    pub fn due(&self) -> bool {
        self.last_save.elapsed().as_secs_f64() >= self.save_every_s
    }

    /// Saves the state after the optimiser's last step, with the looks so far.
    pub fn save(&mut self, optimizer: &AdamW, looks: &EarlyStop, finished: bool) -> Result<(), TrainerError> {
        // The last step may have been saved before it was known to be the last.
        let name = format!("step-{:08}{}", optimizer.steps(), if finished { FINISHED } else { "" });
        let named = if finished { optimizer.named_parameters() } else { optimizer.named() };
        self.write(&name, &named, optimizer.steps(), looks, finished)?;
        let mut states = self.states()?;
        states.truncate(states.len().saturating_sub(KEPT));
        for path in states {
            remove_folder(&path)?;
        }
        self.last_save = Instant::now();
        Ok(())
    }

    /// Keeps the parameters as the best so far.
    pub fn save_best(&self, optimizer: &AdamW, looks: &EarlyStop) -> Result<(), TrainerError> {
        self.write(BEST, &optimizer.named_parameters(), optimizer.steps(), looks, false)
    }

    /// Goes back to the parameters that were kept as the best.
    pub fn restore_best(&self, optimizer: &mut AdamW) -> Result<(), TrainerError> {
        let path = self.folder.join(BEST);
        read(&path)?;
        let (saved, bad) = tensors_of(&path)?;
        let steps = optimizer.steps();
        optimizer.restore_parameters(&saved, steps).map_err(bad)
    }

    fn write(
        &self,
        name: &str,
        named: &[(String, Tensor)],
        step: u64,
        looks: &EarlyStop,
        finished: bool,
    ) -> Result<(), TrainerError> {
        publish_folder(&self.folder.join(name), Existing::Replaced, |folder| {
            let path = folder.join(TENSORS);
            Tensor::write_safetensors(named, &path)?;
            let (identity, looks, tensors) = (self.identity.clone(), looks.clone(), hash_file(&path)?);
            let state = State { step, finished, identity, looks, tensors };
            let file = StateFile { format_version: FORMAT_VERSION, checksum: fingerprint(&state)?, state };
            Ok(publish_json(&folder.join(STATE), &file)?)
        })
    }

    /// The folders of states, the newest last.
    fn states(&self) -> Result<Vec<PathBuf>, TrainerError> {
        let read = || fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect();
        let entries: std::io::Result<Vec<PathBuf>> = read();
        let mut states: Vec<_> =
            entries.map_err(at(&self.folder))?.into_iter().filter_map(|path| Some((order_of(&path)?, path))).collect();
        states.sort();
        Ok(states.into_iter().map(|(_, path)| path).collect())
    }
}

/// A state whose checksums are right.
///
/// # Errors
/// [`TrainerError::BadState`] for what is damaged; [`TrainerError::ForeignState`] for another version's.
fn read(folder: &Path) -> Result<State, TrainerError> {
    let bad = |reason: String| TrainerError::BadState { path: folder.to_owned(), reason };
    let path = folder.join(STATE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(bad(format!("{STATE} is missing"))),
        bytes => bytes.map_err(at(&path))?,
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| bad(format!("{STATE}: {error}")))?;
    if value["format_version"].as_u64().is_some_and(|version| version != u64::from(FORMAT_VERSION)) {
        return Err(TrainerError::ForeignState { path: folder.to_owned(), what: "format version" });
    }
    let StateFile { checksum, state, .. } =
        serde_json::from_value(value).map_err(|error| bad(format!("{STATE}: {error}")))?;
    let path = folder.join(TENSORS);
    if checksum != fingerprint(&state)? {
        return Err(bad(format!("{STATE} has another checksum")));
    }
    if !path.exists() {
        return Err(bad(format!("{TENSORS} is missing")));
    }
    if state.tensors != hash_file(&path)? {
        return Err(bad(format!("{TENSORS} has another checksum")));
    }
    Ok(state)
}

type Named = Vec<(String, Tensor)>;

/// The tensors in a state's folder, and the error for what does not fit about them.
fn tensors_of(folder: &Path) -> Result<(Named, impl Fn(String) -> TrainerError), TrainerError> {
    let path = folder.join(TENSORS);
    let saved = Tensor::read_safetensors(&path);
    let bad = move |reason| TrainerError::BadState { path: path.clone(), reason };
    Ok((saved.map_err(|error| bad(error.to_string()))?, bad))
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
