//! The parameters of a selection, as plain data.

use espalier_settings::range::{at_least, between};
use espalier_settings::{OutOfRange, choices, settings};

choices! {
    /// Which two siblings of the same kind make a pair.
    ///
    /// Under every rule the chosen step has the higher Q, and a step that is malformed, too deep or cut by the token limit is
    /// on neither side.
    #[derive(Default)]
    pub enum PairRule {
        /// CPL's: all with Q(chosen) > 0 > Q(rejected); among solutions only the best and the worst, if they are so.
        #[default]
        Sign = "sign",
        /// All with Q(chosen) - Q(rejected) >= `min_margin`, which must be given.
        Margin = "margin",
        /// The best and the worst of each kind at a state, whatever their signs.
        BestWorst = "best_worst",
        /// All with Q(chosen) > Q(rejected).
        All = "all",
        /// Step-DPO's: a first error against its best sibling that led to a correct answer.
        ///
        /// A step below which only wrong answers were found, although a correct one was found from the state before it, is
        /// the first error of its paths (arXiv:2406.18629).
        FirstError = "first_error",
        /// Tree-PLV's: all whose rewards to go differ by at least `min_margin`.
        ///
        /// A reward to go is the mean reward of all ends of paths at or below a step (He et al. 2024). For trees whose Q is
        /// mostly estimates, as best-first search leaves them.
        RewardToGo = "reward_to_go",
        /// MCTS-DPO's: at each depth of the path of the highest Q, the best step and the worst.
        ///
        /// The loss `mcts_dpo` smooths each pair by the visits of its two steps (arXiv:2405.00451).
        MctsDpo = "mcts_dpo",
        /// Each step and the next worse one of its state's ranking by Q.
        ///
        /// With [`ranked_lists`](crate::ranked_lists) the same steps come as lists.
        Ranked = "ranked",
    }
}

choices! {
    /// In which order pairs are written.
    #[derive(Default)]
    pub enum Curriculum {
        /// As the trees have them.
        #[default]
        None = "none",
        /// The largest Q(chosen) - Q(rejected) first: from easy to hard.
        Margin = "margin",
        /// The first steps first.
        Depth = "depth",
    }
}

settings! {
    /// How pairs are selected from a tree; the default is CPL's selection (algorithm, section 4).
    pub struct PairRules {
        /// Which siblings make a pair.
        pub rule: PairRule = PairRule::Sign;
        /// Least Q(chosen) - Q(rejected), under any rule.
        ///
        /// Q lies in [-1, 1].
        pub min_margin: f64 = 0.0, between(0, 2);
        /// Least visits of either step, under any rule.
        ///
        /// A step with fewer is left out before the best and worst are looked for. A step without visits has Q = 0 by
        /// definition, not by measurement: one visit is the least that says something.
        pub min_visits: u32 = 1;
        /// At most this many pairs of a problem, chosen at random; all if left out.
        ///
        /// They are chosen with the tree's seed.
        pub max_pairs_per_problem: Option<usize> = None, at_least(1);
        /// Leave out a pair whose texts, but for white space, are another pair's or each other's.
        pub dedup: bool = true;
        /// As many pairs of each kind of step as of the rarest, thinned out at random.
        pub balance: bool = false;
        /// Order of the pairs; training keeps an order that was asked for.
        pub curriculum: Curriculum = Curriculum::None;
    }
    together: PairRules::margin_is_given;
}

impl PairRules {
    /// The rule `margin` without a margin would be the rule `all`, which has a name of its own.
    fn margin_is_given(&self) -> Result<(), OutOfRange> {
        if self.rule == PairRule::Margin && self.min_margin == 0.0 {
            return Err(OutOfRange::new("min_margin", self.min_margin, "more than 0 under the rule margin"));
        }
        Ok(())
    }
}
