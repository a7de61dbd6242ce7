//! Problems, prompt formats, answer extraction and equivalence, generated problem families

pub mod families;

mod answer;
mod error;
mod format;
mod problem;

pub use answer::boxed;
pub use error::TaskError;
pub use format::{Format, Granularity, StepText};
pub use problem::{Problem, Worked};
