//! Step pairs: which siblings of a tree make one, and how pairs are stored and handed to other programs.

mod export;
mod pair;
mod rules;
mod select;
mod table;

pub use export::{write_llama_factory, write_step_dpo};
pub use pair::StepPair;
pub use rules::{PairRule, PairRules};
pub use select::select_pairs;
pub use table::{PairInfo, read_pairs, write_pairs};

#[cfg(test)]
mod tests;
