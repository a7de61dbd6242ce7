//! The parameters of a selection, as plain data.

use crate::error::TreeError;
use serde::{Deserialize, Serialize};

/// Which two siblings of the same kind make a pair.
///
/// Under every rule the chosen step has the higher Q, and a step that is malformed, too deep or cut by the token limit is
/// on neither side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairRule {
    /// CPL's: all with Q(chosen) > 0 > Q(rejected); among solutions only the best and the worst, if they are so.
    #[default]
    Sign,
    /// All with Q(chosen) - Q(rejected) >= `min_margin`, which must be given.
    Margin,
    /// The best and the worst of each kind at a state, whatever their signs.
    BestWorst,
    /// All with Q(chosen) > Q(rejected).
    All,
    /// Step-DPO's (arXiv:2406.18629): a step below which only wrong answers were found, although a correct one was found
    /// from the state before it, hence the first error of its paths; against its best sibling that led to a correct one.
    FirstError,
    /// Tree-PLV's (He et al. 2024): all whose rewards to go, the mean reward of all ends of paths at or below a step,
    /// differ by at least `min_margin`. For trees whose Q is mostly estimates, as best-first search leaves them.
    RewardToGo,
    /// MCTS-DPO's (arXiv:2405.00451): at each depth of the path of the highest Q, the best step and the worst. The loss
    /// `mcts_dpo` smooths each pair by the visits of its two steps.
    MctsDpo,
    /// Each step and the next worse one of its state's ranking by Q. With [`ranked_lists`](crate::ranked_lists) the same
    /// steps come as lists.
    Ranked,
}

/// In which order pairs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curriculum {
    /// As the trees have them.
    #[default]
    None,
    /// The largest Q(chosen) - Q(rejected) first: from easy to hard.
    Margin,
    /// The first steps first.
    Depth,
}

/// How pairs are selected from a tree; the default is CPL's selection (algorithm, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairRules {
    /// Which siblings make a pair.
    pub rule: PairRule,
    /// Least Q(chosen) - Q(rejected), under any rule; Q lies in [-1, 1].
    pub min_margin: f64,
    /// Least visits of either step, under any rule; a step with fewer is left out before the best and worst are looked for.
    pub min_visits: u32,
    /// At most this many pairs of a tree, chosen at random with the tree's seed; all if absent.
    pub max_pairs_per_problem: Option<usize>,
    /// Leaves out a pair whose texts, but for white space, are another pair's or each other's.
    pub dedup: bool,
    /// Thins the more frequent kinds of steps out, at random, until all kinds have as many pairs.
    pub balance: bool,
    /// In which order pairs are written.
    pub curriculum: Curriculum,
}

impl Default for PairRules {
    fn default() -> PairRules {
        // A step without visits has Q = 0 by definition, not by measurement: one visit is the least that says something.
        PairRules {
            rule: PairRule::Sign,
            min_margin: 0.0,
            min_visits: 1,
            max_pairs_per_problem: None,
            dedup: true,
            balance: false,
            curriculum: Curriculum::None,
        }
    }
}

impl PairRules {
    /// Checks the values.
    ///
    /// # Errors
    /// The first field that contradicts itself or the rule.
    pub fn validate(&self) -> Result<(), TreeError> {
        let wrong = |name, value: String, expected| Err(TreeError::Rule { name, value, expected });
        if !(0.0..=2.0).contains(&self.min_margin) {
            return wrong("min_margin", self.min_margin.to_string(), "between 0 and 2");
        }
        if self.rule == PairRule::Margin && self.min_margin == 0.0 {
            return wrong("min_margin", self.min_margin.to_string(), "more than 0 under the rule margin");
        }
        if self.max_pairs_per_problem == Some(0) {
            return wrong("max_pairs_per_problem", "0".to_owned(), "at least 1, or absent");
        }
        Ok(())
    }
}
