//! What is fuzzed: every reader of bytes that others may have written.

mod answers;
mod eval;
mod files;
#[cfg(feature = "torch")]
mod model;
mod parquet_seed;
#[cfg(feature = "torch")]
mod preferences;
mod problems;
mod rounds;
mod server;
mod tokenizer;
mod tree;

use crate::scratch::Scratch;

/// A reader that is fuzzed.
#[derive(Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its share of the inputs: about how many it reads in a time that all have alike.
    pub share: u32,
    /// Words of its format.
    pub words: &'static [&'static str],
    /// Makes the seeds; the files of inputs lie in the folder given.
    pub begin: fn(Scratch) -> Begun,
}

/// Tries an input: whether it is valid. What must hold of every input is asserted.
pub type Try = Box<dyn FnMut(&[u8]) -> bool>;

/// A target that is ready.
pub struct Begun {
    /// Valid inputs.
    pub seeds: Vec<Vec<u8>>,
    /// Tries an input.
    pub run: Try,
}

impl Begun {
    fn new<S: Into<Vec<u8>>>(seeds: impl IntoIterator<Item = S>, run: impl FnMut(&[u8]) -> bool + 'static) -> Begun {
        Begun { seeds: seeds.into_iter().map(Into::into).collect(), run: Box::new(run) }
    }
}

/// All targets.
pub fn all() -> Vec<Target> {
    let mut all = Vec::new();
    all.extend(answers::TARGETS);
    all.extend(problems::TARGETS);
    all.extend(tree::TARGETS);
    all.extend(eval::TARGETS);
    all.extend(files::TARGETS);
    all.extend(rounds::TARGETS);
    all.extend(tokenizer::TARGETS);
    all.extend(server::TARGETS);
    #[cfg(feature = "torch")]
    all.extend(preferences::TARGETS);
    #[cfg(feature = "torch")]
    all.extend(model::TARGETS);
    all
}
