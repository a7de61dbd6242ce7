//! What a search tree is and how it is stored.
//!
//! A tree's root is a question; each node below it is one *step* of an answer, and a path from the root to a leaf is an
//! answer, right or wrong. The search that grows trees is in another crate; here is what remains of it: nodes with their
//! statistics, files of trees, and what can be learnt from a tree.
//!
//! ```text
//!                      Journal (finished trees, crash-safe)
//!                        |
//!   Tree --- write_shard / ShardWriter ---> part-00000.parquet --- read_trees ---> Tree
//!                                                                                   |
//!                       +--------------------------+-----------------------+--------+-----+
//!                  select_pairs                sft_paths            value_examples      check
//!                       |                          |                       |              |
//!                   StepPair                  PathExample            ValueExample     Violation
//!            (Parquet, two JSONL forms)
//!
//!                 root  "Tom has 3 apples ..."    N 4  W 0.5
//!                /    \
//!      plan "Add."    plan "Multiply."            siblings: one state, several steps
//!       N 2  Q 0.75    N 1  Q -0.5
//!           |
//!   solution "\boxed{5}"  reward +1
//! ```
//!
//! # Letters
//! N number of nodes of a tree, or a node's visits; W the sum of the values backed up through a node; Q = W / N;
//! V the value of a state; A = Q - V the advantage of a step; P its prior; T a number of tokens; K the number of siblings
//! at a state; B a number of pairs. Values lie in [-1, 1]. The method is CPL (arXiv:2409.08642).
//!
//! # Example
//! A question, two plan steps, and the pair that they make:
//! ```
//! use espalier_tree::{Ending, Kind, NewNode, NodeId, PairRules, Tree, TreeInfo, select_pairs};
//!
//! let info = TreeInfo {
//!     run_id: "demo".into(),
//!     round: 0,
//!     problem_id: "apples".into(),
//!     question: "Tom has 3 apples and buys 2. How many has he?".into(),
//!     reference_answer: "5".into(),
//!     tree_seed: 1,
//! };
//! let mut tree = Tree::new(info, "Q: Tom ...\n", &[1, 2, 3]);
//! let step = |text: &str, token: u32| NewNode {
//!     kind: Kind::Plan,
//!     text: text.into(),
//!     token_ids: vec![token],
//!     logprobs: vec![-0.7],
//!     prior: 0.5,
//!     ending: Ending::None,
//!     reward: None,
//!     answer: None,
//! };
//! let children = tree.expand(NodeId::ROOT, &[step("Add.", 4), step("Multiply.", 5)]);
//! tree.back_up(NodeId(children.start), 0.5);
//! tree.back_up(NodeId(children.start + 1), -0.25);
//!
//! let pairs = select_pairs(&tree, &PairRules::default());
//! assert_eq!(pairs.len(), 1);
//! assert_eq!((pairs[0].chosen.as_str(), pairs[0].rejected.as_str()), ("Add.", "Multiply."));
//! // V(root) = (0.5 - 0.25) / 2 = 0.125, so A(chosen) = 0.5 - 0.125.
//! assert_eq!(pairs[0].advantage_chosen, 0.375);
//! ```
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and break files"))]
#![forbid(unsafe_code)]

pub mod arena;
mod check;
mod codec;
mod columns;
mod draw;
mod error;
mod examples;
#[cfg(test)]
mod grown;
mod journal;
mod names;
mod outcome;
mod pairs;
mod parquet_file;
mod rows;
mod schema;
mod shard;

pub use arena::{Ending, Kind, MemoryBytes, NewNode, NewStep, Node, NodeId, PASSES, Tree, TreeInfo};
pub use check::{Violation, check};
pub use error::TreeError;
pub use examples::{OutcomePath, PathExample, ValueExample, outcome_pairs, outcome_paths, sft_paths, value_examples};
pub use journal::Journal;
pub use outcome::rewards_to_go;
pub use pairs::{
    Curriculum, Loaded, Origin, PairInfo, PairRule, PairRules, RankedList, Siblings, StepPair, UnusedRow,
    arrange_pairs, load_pairs, load_ranked_lists, pair_rules, ranked_lists, read_pairs, select_pairs, siblings,
    write_llama_factory, write_pairs, write_ranked_lists, write_step_dpo,
};
pub use parquet_file::policy_hash;
pub use schema::{FORMAT_VERSION_KEY, PAIRS_FORMAT_VERSION, TREES_FORMAT_VERSION, pairs_schema, trees_schema};
pub use shard::{
    ShardCounts, ShardInfo, ShardWriter, TreeReader, read_shard, read_shard_info, read_trees, write_shard,
};
