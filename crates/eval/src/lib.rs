//! Evaluation: a policy answers problems, the answers are judged, voted on, scored with intervals and compared.
//!
//! ```text
//!  problems ─► prompts ─► greedy │ sample │ beam │ mcts ─► texts ─► grades ─► votes ─► scores ─► comparison of two
//!                     (answer, kept in a journal)       (sample, Parquet)   (vote)   (score)         (compare)
//! ```
//!
//! The methods `beam` and `mcts` search with a judge that never sees the reference ([`BlindJudge`]). Nothing here knows a
//! model, a run or a configuration file: who asks gives a [`Policy`](espalier_search::Policy) and [`Answering`].
//!
//! ```
//! use espalier_eval::{Estimate, Score};
//!
//! let score = Score::new(5, 10);
//! assert_eq!((score.accuracy, score.low < 0.24, score.high > 0.76), (0.5, true, true));
//! assert_eq!(Estimate::new(&[1.0; 8], 0).low, 1.0);
//! ```
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests break files on purpose"))]
#![forbid(unsafe_code)]

mod answer;
mod compare;
mod config;
mod diagnosis;
mod error;
mod grade;
mod journal;
mod judge;
mod panel;
mod ranking;
mod rerank;
mod samples;
mod score;
mod solve;
mod trial;
mod vote;

pub use answer::{Answered, Answering, Sink, Text, best_solution};
pub use compare::{Comparison, Paired, compare};
pub use config::{Aggregation, EvalConfig, Method};
pub use diagnosis::Diagnosis;
pub use error::EvalError;
pub use grade::grade;
pub use journal::AnswerJournal;
pub use judge::{BlindJudge, FormatJudge, stops};
pub use panel::{Member, Panel, RewardRule};
pub use ranking::{Calibration, CalibrationBin, JudgedState, JudgedStates, MarginBin, Measured};
pub use rerank::{VerifierScore, path_score};
pub use samples::{ProblemSamples, Sample, read_samples, samples_beside, write_samples};
pub use score::{Estimate, GroupScore, Score};
pub use solve::{Solved, Solving};
pub use trial::{Cut, Trial, Tried, try_task};
