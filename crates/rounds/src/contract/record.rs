//! `stage.json`: what an output is and where it comes from, written before work begins.

use super::Identity;
use crate::context::Program;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One process that worked on an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// What ran.
    #[serde(flatten)]
    pub program: Program,
    /// Device of the model.
    pub device: String,
    /// When it began, UTC.
    pub began_at: String,
    /// Seconds that it worked, as it last wrote them down.
    pub wall_s: f64,
}

/// `stage.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What decides the result.
    pub identity: Identity,
    /// Every setting of the first process.
    pub settings: Value,
    /// All processes that worked on the output, in their order.
    pub processes: Vec<Process>,
    /// When the output was complete, UTC, and what it is in one line.
    pub done: Option<Done>,
}

/// The end of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// When, UTC.
    pub at: String,
    /// The result in one line.
    pub result: String,
}

impl Record {
    /// Seconds of all processes together.
    pub fn wall_s(&self) -> f64 {
        self.processes.iter().map(|process| process.wall_s).sum()
    }
}

/// Now, in UTC, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
