//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a model or one of its files cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Adapters that cannot be made.
    #[error("LoRA: {0}")]
    Adapter(String),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be published.
    #[error(transparent)]
    Files(#[from] espalier_files::FilesError),
    /// A file is not what its name says.
    #[error("{} is broken: {problem}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A config.json asks for what does not exist here, or makes no sense.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ModelError>,
    },
    /// The model's architecture is not one of those that exist here.
    #[error("architecture {found:?} is not supported; use one of {}", supported.join(", "))]
    Architecture {
        /// What config.json names.
        found: String,
        /// What can be read.
        supported: Vec<&'static str>,
    },
    /// A field of config.json asks for something that does not exist here, so the model would compute something else.
    #[error("config field {field} = {value} is not supported: {problem}")]
    Unsupported {
        /// The field's name.
        field: String,
        /// Its value.
        value: String,
        /// What would be.
        problem: String,
    },
    /// A field of config.json is missing or makes no sense.
    #[error("config field {field}: {problem}")]
    Field {
        /// The field's name.
        field: String,
        /// What is wrong, with the value.
        problem: String,
    },
    /// A weight is not in the checkpoint.
    #[error("tensor {name} (shape {shape:?}) is missing in {}", path.display())]
    MissingTensor {
        /// The folder or file.
        path: PathBuf,
        /// The weight's name.
        name: String,
        /// The shape it must have.
        shape: Vec<i64>,
    },
    /// A tensor of the checkpoint is no weight of the model, so its config.json does not describe it.
    #[error("tensor {name} (shape {shape:?}) in {} does not belong to the model", path.display())]
    UnexpectedTensor {
        /// The folder or file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// A weight has another shape than config.json says.
    #[error("tensor {name} has shape {got:?}, but the config wants {wanted:?}")]
    Shape {
        /// The weight's name.
        name: String,
        /// The shape found.
        got: Vec<i64>,
        /// The shape it must have.
        wanted: Vec<i64>,
    },
    /// A weight has a data type that cannot be converted.
    #[error("tensor {name} has data type {found}; only F64, F32, F16 and BF16 are read")]
    DataType {
        /// The weight's name.
        name: String,
        /// Its type.
        found: String,
    },
    /// A token id is outside the model's vocabulary.
    #[error("token {id} is not among the model's {vocab_size}")]
    Token {
        /// The id.
        id: u32,
        /// V.
        vocab_size: usize,
    },
    /// The tokens given to a decoding group do not fit it.
    #[error("{tokens} tokens for a group of {rows} rows with {used} of {capacity} places used")]
    Group {
        /// New tokens of all rows.
        tokens: usize,
        /// Rows.
        rows: usize,
        /// Places used in each row.
        used: usize,
        /// Places of each row.
        capacity: usize,
    },
    /// Keys and values that another model computed.
    #[error("keys and values of another model's pool")]
    ForeignSegment,
    /// No block of a device's memory for keys and values is free.
    #[error("all {blocks} blocks for keys and values are in use")]
    Full {
        /// Blocks in all.
        blocks: usize,
    },
    /// The way to compute does not exist on the device.
    #[error("numerics invariant exist on the processor only, not on {device}; use numerics fast")]
    Numerics {
        /// The device.
        device: String,
    },
    /// LibTorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl ModelError {
    /// Whether fewer requests at a time might do: a device has no memory left, or no block for keys and values.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            ModelError::Full { .. } => true,
            ModelError::Torch(error) => error.to_string().contains("out of memory"),
            _ => false,
        }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> ModelError {
        move |source| ModelError::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> ModelError {
        move |source| ModelError::Write { path: path.to_owned(), source }
    }

    pub(crate) fn broken(path: &Path, problem: impl ToString) -> ModelError {
        ModelError::Broken { path: path.to_owned(), problem: problem.to_string() }
    }

    pub(crate) fn field(field: &str, problem: impl ToString) -> ModelError {
        ModelError::Field { field: field.to_owned(), problem: problem.to_string() }
    }

    pub(crate) fn unsupported(field: &str, value: impl ToString, problem: impl ToString) -> ModelError {
        ModelError::Unsupported { field: field.to_owned(), value: value.to_string(), problem: problem.to_string() }
    }
}
