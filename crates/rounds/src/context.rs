//! What every stage is given: the configuration, the program, and who watches.

use crate::config::RunConfig;
use serde::{Deserialize, Serialize};

/// What every stage is given.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// All settings.
    pub config: &'a RunConfig,
    /// What runs, for the record beside each output.
    pub program: &'a Program,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// Takes what the threads that speak to servers report, a line each, also beside the stage's own thread.
    pub notice: fn(&str),
    /// Whether an output that the same stage made earlier is begun anew.
    pub overwrite: bool,
}

impl<'a> Context<'a> {
    /// The same for another configuration.
    #[must_use]
    pub fn with<'b>(&self, config: &'b RunConfig) -> Context<'b>
    where
        'a: 'b,
    {
        Context { config, ..*self }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("config", self.config)
            .field("overwrite", &self.overwrite)
            .finish_non_exhaustive()
    }
}

/// The program, as it is written beside every output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Version of the package.
    pub version: String,
    /// The commit it was built from.
    pub revision: String,
    /// Version of LibTorch; empty without it.
    pub libtorch: String,
    /// Version of the tokenizers library.
    pub tokenizers: String,
    /// The command line.
    pub command: Vec<String>,
}

/// Follows stages. Nothing in a stage prints: what is to be seen goes through here.
pub trait Observer: Sync {
    /// A stage has begun, over `total` items; 0 where their number is not known yet.
    fn began(&self, _title: &str, _total: u64) {}

    /// `done` of `total` items are done.
    fn advanced(&self, _done: u64, _total: u64, _remark: &str) {}

    /// The stage that began last is done.
    fn finished(&self, _summary: &str) {}

    /// Something that a person should read, in one line.
    fn noticed(&self, _line: &str) {}
}

/// Nobody watches.
impl Observer for () {}
