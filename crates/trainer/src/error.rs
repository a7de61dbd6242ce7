//! What can go wrong in training.

use std::path::PathBuf;

/// Why training could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// A file cannot be published.
    #[error(transparent)]
    Files(#[from] espalier_files::FilesError),
    /// No objective has this name.
    #[error("unknown objective {name:?}; known are: {known}")]
    UnknownObjective {
        /// The name given.
        name: String,
        /// All names.
        known: String,
    },
    /// The objective has no such parameter.
    #[error("objective {objective} has no parameter {parameter:?}; it has: {known}")]
    UnknownParameter {
        /// The objective.
        objective: &'static str,
        /// The name given.
        parameter: String,
        /// Its parameters.
        known: String,
    },
    /// A parameter is NaN or infinite.
    #[error("parameter {parameter} of objective {objective} is {value}; give a finite number")]
    ParameterNotFinite {
        /// The objective.
        objective: &'static str,
        /// The parameter.
        parameter: String,
        /// The value given.
        value: f64,
    },
    /// A parameter is out of range.
    #[error("parameter {parameter} of objective {objective} is {value}, but must be {must}")]
    BadParameter {
        /// The objective.
        objective: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The value given.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// The parameters do not fit the objective's type.
    #[error("parameters of objective {objective} cannot be read: {reason}")]
    BadParameters {
        /// The objective.
        objective: &'static str,
        /// What is wrong with them.
        reason: String,
    },
    /// A loss over lists was given pairs, or the other way round.
    #[error("objective {objective} takes {takes}; it cannot be trained on {given}")]
    WrongShape {
        /// The objective.
        objective: &'static str,
        /// What it takes.
        takes: &'static str,
        /// What it was given.
        given: &'static str,
    },
    /// The lists of a written-down case are empty or of unequal lengths.
    #[error("{field} has {given} numbers and lp has {siblings}; give one for each of at least one sibling")]
    BadCase {
        /// The list.
        field: &'static str,
        /// Its length.
        given: usize,
        /// The length of `lp`.
        siblings: usize,
    },
    /// A setting of the training configuration is out of range.
    #[error(transparent)]
    BadConfig(#[from] espalier_settings::OutOfRange),
    /// Nothing is left to train on.
    #[error("no example can be trained on: {given} given, {skipped} skipped{}", first_reason(first.as_deref()))]
    NoExamples {
        /// Examples given.
        given: usize,
        /// Examples skipped.
        skipped: usize,
        /// Why the first of them was skipped.
        first: Option<String>,
    },
    /// A loss or gradient is NaN or infinite; the parameters are those before this step.
    #[error("{what} is {value} at step {step}; the batch is in {}", path.display())]
    NotFinite {
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The optimiser step, counted from 1.
        step: u64,
        /// Where the batch was written.
        path: PathBuf,
    },
    /// The observer asked to stop; what was reached is saved, and the same call continues.
    #[error("stopped after step {step}; the same call continues from there")]
    Stopped {
        /// The last step that was done.
        step: u64,
    },
    /// The saved state belongs to another run.
    #[error("{} was saved by a training run with another {what}; continue with the same or remove the folder", path.display())]
    ForeignState {
        /// The state's folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The saved state cannot be read.
    #[error("{} is not a usable training state ({reason}); remove the folder to start over", path.display())]
    BadState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model cannot be trained as it is loaded.
    #[error("parameter {name} is {kind}; load the model as float32 to train it")]
    NotFloat32 {
        /// The parameter.
        name: String,
        /// Its kind.
        kind: String,
    },
    /// A model with an ensemble of heads, where one is trained.
    #[error("the model has {heads} value heads, and this training is of one; start from a policy, not from a verifier")]
    Ensemble {
        /// K.
        heads: usize,
    },
    /// The model failed.
    #[error(transparent)]
    Model(#[from] espalier_model::ModelError),
    /// `LibTorch` failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
}

fn first_reason(first: Option<&str>) -> String {
    first.map(|reason| format!(", the first because {reason}")).unwrap_or_default()
}

/// Puts the path into an input/output error.
pub(crate) fn at(path: &std::path::Path) -> impl Fn(std::io::Error) -> TrainerError + '_ {
    move |source| TrainerError::Io { path: path.to_owned(), source }
}
