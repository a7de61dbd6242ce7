//! What a search did, in numbers.

use espalier_tree::{Ending, Tree};
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Totals of a search so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchSummary {
    /// Trees finished.
    pub trees: u64,
    /// Finished trees with at least one correct solution.
    pub solved_trees: u64,
    /// Nodes of finished trees, roots included.
    pub nodes: u64,
    /// How the nodes of finished trees end.
    pub endings: EndingCounts,
    /// Why trees were finished.
    pub stops: StopCounts,
    /// Work done, also that on trees which are not finished or were given up.
    pub work: SearchWork,
    /// Problems without a tree. It grows with the number of bad problems only.
    pub skipped: Vec<Skipped>,
    /// Seconds since the search began.
    pub wall_s: f64,
    /// Of them in [`Policy::poll`](crate::Policy::poll) and [`Policy::tokenize`](crate::Policy::tokenize).
    pub policy_s: f64,
    /// Of them waiting for judges while the policy had nothing to do.
    #[serde(default)]
    pub judge_s: f64,
    /// Of them in the caller's code that stores finished trees and skipped problems.
    pub store_s: f64,
}

impl SearchSummary {
    /// Seconds in neither the policy, nor the caller's code, nor in waiting for judges: selection, expansion, backing up,
    /// scheduling, and with them a judge that takes no time, the iterator of the jobs and [`Policy::submit`](crate::Policy::submit), which are part of the same work.
    pub fn engine_s(&self) -> f64 {
        self.wall_s - self.policy_s - self.judge_s - self.store_s
    }
}

/// Work that a search did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchWork {
    /// Simulations, also those that ended at an exhausted node.
    pub simulations: u64,
    /// Requests answered by the policy.
    pub requests: u64,
    /// Tokens of the prefixes of all requests: what would be read anew if nothing were kept between requests.
    pub prefix_tokens: u64,
    /// Tokens sampled, merged duplicates and rollouts included.
    pub sampled_tokens: u64,
    /// Candidates that were merged with an equal sibling.
    pub duplicates: u64,
}

impl SearchWork {
    /// What was done since `before`.
    pub(crate) fn since(self, before: SearchWork) -> SearchWork {
        SearchWork {
            simulations: self.simulations - before.simulations,
            requests: self.requests - before.requests,
            prefix_tokens: self.prefix_tokens - before.prefix_tokens,
            sampled_tokens: self.sampled_tokens - before.sampled_tokens,
            duplicates: self.duplicates - before.duplicates,
        }
    }
}

impl AddAssign for SearchWork {
    fn add_assign(&mut self, more: SearchWork) {
        self.simulations += more.simulations;
        self.requests += more.requests;
        self.prefix_tokens += more.prefix_tokens;
        self.sampled_tokens += more.sampled_tokens;
        self.duplicates += more.duplicates;
    }
}

/// Nodes by ending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndingCounts {
    /// Nodes whose path goes on.
    pub none: u64,
    /// Correct solutions.
    pub correct: u64,
    /// Wrong solutions.
    pub wrong: u64,
    /// Malformed texts.
    pub malformed: u64,
    /// Steps beyond the depth limit.
    pub too_deep: u64,
    /// Steps cut by the token limit.
    pub length: u64,
    /// Nodes without an open child.
    pub exhausted: u64,
    /// Solutions of which a judge could not speak.
    #[serde(default)]
    pub unverified: u64,
}

impl EndingCounts {
    /// Counts one more node.
    pub fn count(&mut self, ending: Ending) {
        *match ending {
            Ending::None => &mut self.none,
            Ending::Correct => &mut self.correct,
            Ending::Wrong => &mut self.wrong,
            Ending::Malformed => &mut self.malformed,
            Ending::TooDeep => &mut self.too_deep,
            Ending::Length => &mut self.length,
            Ending::Exhausted => &mut self.exhausted,
            Ending::Unverified => &mut self.unverified,
        } += 1;
    }
}

/// Why a tree was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// All simulations are done.
    Simulations,
    /// Nothing is left to select.
    Exhausted,
    /// Enough correct solutions were found.
    Solved,
    /// The root's Q has settled.
    Converged,
    /// Enough tokens were sampled.
    Tokens,
    /// The tree took as long as it may.
    WallTime,
}

/// Finished trees by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopCounts {
    /// See [`Stop::Simulations`].
    pub simulations: u64,
    /// See [`Stop::Exhausted`].
    pub exhausted: u64,
    /// See [`Stop::Solved`].
    pub solved: u64,
    /// See [`Stop::Converged`].
    pub converged: u64,
    /// See [`Stop::Tokens`].
    pub tokens: u64,
    /// See [`Stop::WallTime`].
    pub wall_time: u64,
}

/// A problem without a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Index of the job.
    pub index: u64,
    /// Id of the problem.
    pub problem_id: String,
    /// Why there is no tree, in one line.
    pub reason: String,
}

impl SearchSummary {
    /// Adds a finished tree.
    pub(crate) fn add_tree(&mut self, tree: &Tree, stop: Stop) {
        let correct_before = self.endings.correct;
        for id in tree.ids() {
            self.endings.count(tree.node(id).ending);
        }
        self.trees += 1;
        self.nodes += tree.len() as u64;
        self.solved_trees += u64::from(self.endings.correct > correct_before);
        *match stop {
            Stop::Simulations => &mut self.stops.simulations,
            Stop::Exhausted => &mut self.stops.exhausted,
            Stop::Solved => &mut self.stops.solved,
            Stop::Converged => &mut self.stops.converged,
            Stop::Tokens => &mut self.stops.tokens,
            Stop::WallTime => &mut self.stops.wall_time,
        } += 1;
    }
}
