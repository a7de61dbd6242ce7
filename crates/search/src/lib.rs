//! Monte-Carlo tree search over reasoning steps, given a policy and a judge.
//!
//! Who proposes steps and values is a [`Policy`]; who says whether a solution is right is a [`Judge`]. The search knows
//! no model, no tokenizer and no text format. It follows Critical Plan Step Learning (Wang, Chen, Han, Bai 2024,
//! arXiv:2409.08642); one simulation is
//!
//! ```text
//!        root  N=9                     1. select     argmax Q + U from the root to a leaf,
//!       /  |  \                                      U = c_puct * P * sqrt(N_parent) / (1 + N_child)
//!    ( ) ( ) ( )   <- Plan 1: ..       2. evaluate   V of the leaf: the value head, rollouts, or 0  ┐ one
//!        / \                           3. expand     K steps that follow it; equal texts are merged ┘ request
//!      ( ) leaf    <- Plan 2: ..       4. judge      steps that end a path get +1 or -1
//!          / | \                       back up       V, and each reward when it is made: N += 1, W += value
//!       ( ) [+1] [-1]                                on every node up to the root; Q = W / N
//! ```
//!
//! Terminal nodes are never selected. A simulation that comes to a node whose children are all terminal marks it as
//! exhausted and ends there; a tree with an exhausted root is finished. A leaf that nothing can follow, because its
//! prefix fills the model's context, is exhausted too.
//!
//! [`TreeSearch`] is the search of one tree as a state machine; [`search`] keeps many of them in flight, so that the
//! policy always has a full batch: no tree waits for another. A tree depends on its own seed and its own answers only.
//!
//! Letters: K candidates of a request, N visits, W value sum, Q = W / N, V value of a state, P prior. Values and rewards
//! lie in [-1, 1].
//!
//! ```
//! use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
//! use espalier_search::{SearchConfig, Stops, TreeJob, search};
//! use espalier_tree::{NodeId, TreeInfo};
//!
//! let jobs = (0..3).map(|index| TreeJob {
//!     index,
//!     info: TreeInfo {
//!         run_id: "example".into(),
//!         round: 0,
//!         problem_id: format!("p{index}"),
//!         question: "What is 3 + 4?".into(),
//!         reference_answer: "7".into(),
//!         tree_seed: index,
//!     },
//!     prompt: "<question>What is 3 + 4?</question><plan>".into(),
//! });
//! let config = SearchConfig { simulations: 20, ..SearchConfig::default() };
//! let mut trees = Vec::new();
//! let stops = Stops { step: ["</step>", "</solution>"].map(String::from).into(), path: ["</solution>".into()].into() };
//! let summary = search(&config, 64, &stops, jobs, &mut FakePolicy::new(FakeTexts::new(1)), &FakeJudge, |_, tree| {
//!     trees.push(tree);
//!     Ok(())
//! })?;
//! assert_eq!((summary.trees, summary.skipped.len()), (3, 0));
//! assert!(trees.iter().all(|tree| tree.node(NodeId::ROOT).q().abs() <= 1.0));
//! # Ok::<(), espalier_search::SearchError>(())
//! ```
#![forbid(unsafe_code)]

mod about;
mod ask_all;
mod config;
mod engine;
mod error;
mod expansion;
pub mod fake;
mod growth;
mod gumbel;
mod judge;
mod limits;
mod policy;
mod request;
mod sampling;
mod seed;
mod selection;
mod strategy;
mod summary;
#[cfg(feature = "testing")]
pub mod testing;
mod tree_search;
mod values;
mod wishes;

pub use about::{About, PolicyStats, ServerStats};
pub use ask_all::ask_all;
pub use config::{
    Combine, Converged, Evaluation, FirstPlay, Outside, Prior, SearchConfig, Selection, Source, StopWhen, Strategy,
};
pub use engine::{SearchEvent, TreeJob, search, search_with_events};
pub use error::SearchError;
pub use gumbel::Gumbel;
pub use judge::{Judge, Place, Sampled, Verdict};
pub use policy::{Policy, PolicyError};
pub use request::{Candidate, Expansion, Finish, StepRequest, Stops, Unit, last_stop};
pub use sampling::{Numerics, Precision, SamplingConfig, candidate_generator};
pub use summary::{EndingCounts, SearchSummary, SearchWork, Skipped, Stop, StopCounts};
pub use tree_search::{Next, RequestBuffer, TreeSearch};
pub use values::{
    HeadReading, InBatches, LastStepReading, OwnQuestion, PathsReading, PolicyValuer, RatioValuer, Reading, Score,
    State, ValueError, ValueSource, Valued, Valuer, WithValues, asked_beside,
};
pub use wishes::{Report, Told, Wish, Wishes};
