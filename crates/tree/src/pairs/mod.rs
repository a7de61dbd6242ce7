//! Step pairs: which siblings of a tree make one, and how pairs are stored, read and handed to other programs.

mod arrange;
mod export;
mod lists;
mod loaded;
mod pair;
mod rules;
mod select;
mod siblings;
mod table;

pub use arrange::arrange_pairs;
pub use export::{write_llama_factory, write_step_dpo};
pub use lists::{RankedList, ranked_lists, write_ranked_lists};
pub use loaded::{Loaded, Origin, UnusedRow, load_pairs, load_ranked_lists};
pub use pair::StepPair;
pub use rules::{Curriculum, PairRule, PairRules};
pub use select::select_pairs;
pub use siblings::{Siblings, siblings};
pub use table::{PairInfo, pair_rules, read_pairs, write_pairs};

#[cfg(test)]
mod tests;
