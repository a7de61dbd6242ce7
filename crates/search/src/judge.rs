//! Who says what a sampled text is and what it is worth.

use espalier_tree::{Ending, Kind, NodeId, Tree, TreeInfo};
use std::borrow::Cow;
use std::sync::Arc;

/// Reads steps. It knows the format of the texts and how answers are compared; the search knows neither.
///
/// A text to be judged begins with what the last token before it has beyond its own step's stop string, and ends with the
/// stop string: tokens need not end where steps do.
pub trait Judge: Sync {
    /// What one sampled step is, and how the path ends with it if it does.
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict;

    /// Where in a sampled text the last stop string ends; what is behind it belongs to the next step. By default that is the
    /// text's own end, and all of it is judged; nothing where there is no stop string.
    fn end(&self, text: &str) -> Option<usize> {
        Some(text.len())
    }

    /// What the rest of a path is, sampled in one go by a [`Unit::Path`](crate::Unit::Path) request: several steps and
    /// the solution. Only its reward counts; a path without one is not counted.
    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict;

    /// The columns of [`Verdict::scores`]; none by default.
    fn columns(&self) -> Arc<[String]> {
        Arc::default()
    }

    /// Whether siblings are judged together, by [`judge_siblings`](Judge::judge_siblings), and the rollouts of a state by
    /// [`judge_paths`](Judge::judge_paths).
    fn takes_siblings(&self) -> bool {
        false
    }

    /// [`judge`](Judge::judge) for the steps that were sampled at one state, in their order.
    fn judge_siblings(&self, at: Place<'_>, sampled: &[Sampled<'_>]) -> Vec<Verdict> {
        sampled.iter().map(|sampled| self.judge(at, &sampled.text)).collect()
    }

    /// [`judge_path`](Judge::judge_path) for the paths that were sampled at one state, in their order.
    fn judge_paths(&self, at: Place<'_>, sampled: &[Sampled<'_>]) -> Vec<Verdict> {
        sampled.iter().map(|sampled| self.judge_path(at, &sampled.text)).collect()
    }

    /// Whether a judgement waits for another process or a server. Then each tree's are waited for apart from the others',
    /// and the policy goes on meanwhile.
    fn takes_time(&self) -> bool {
        false
    }
}

/// Where a judged text stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The tree, with the problem that it is about.
    pub tree: &'a Tree,
    /// The state that the text follows.
    pub state: NodeId,
}

impl<'a> Place<'a> {
    /// Where the tree comes from and what it is asked.
    pub fn info(self) -> &'a TreeInfo {
        &self.tree.info
    }
}

/// A text that was sampled, up to the end of its last stop string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// Whether it was cut by a limit on tokens, so that its end is missing whatever it looks like.
    pub is_cut: bool,
}

/// What a judge found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What the step is. A malformed step has the kind that it was sampled as.
    pub kind: Kind,
    /// [`Ending::None`], [`Ending::Correct`], [`Ending::Wrong`], [`Ending::Unverified`] or [`Ending::Malformed`]. The other
    /// endings are the search's own.
    pub ending: Ending,
    /// The answer found in a solution.
    pub answer: Option<String>,
    /// What the path is worth, in [-1, 1], where it ends.
    pub reward: Option<f32>,
    /// One number for each of [`Judge::columns`], NaN where there is none; or no number at all.
    pub scores: Vec<f32>,
}

impl Verdict {
    /// A verdict whose reward is that of the ending: +1 for a correct solution, -1 for any other end of a path that has one.
    pub fn new(kind: Kind, ending: Ending, answer: Option<String>) -> Verdict {
        let reward = reward_of(ending);
        Verdict { kind, ending, answer, reward, scores: Vec::new() }
    }
}

/// Value of a state after which there is no room for a further step, so that no path from it can be completed.
pub(crate) const NO_ROOM: f64 = -1.0;

/// The mean reward of paths: those that were cut short count -1, those without a reward do not count; 0 where none counts.
pub(crate) fn mean_reward(verdicts: &[Verdict], cut: usize) -> f64 {
    let cut = cut as f64;
    let (count, sum) = verdicts
        .iter()
        .filter_map(|verdict| verdict.reward)
        .fold((cut, -cut), |(count, sum), reward| (count + 1.0, sum + f64::from(reward)));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// +1 for a correct answer, -1 for any other end of a path; none where the path goes on or nobody knows.
pub(crate) fn reward_of(ending: Ending) -> Option<f32> {
    ending.has_reward().then_some(if ending == Ending::Correct { 1.0 } else { -1.0 })
}
