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
        /// CGPO's: the best of the steps that all judges pass against the worst of those that one does not.
        ///
        /// Where all pass, the worst of all is rejected; where none does, there is no pair (arXiv:2409.20370, 4.1.2; we ask in
        /// addition that the chosen step has the higher Q).
        Constrained = "constrained",
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
        /// Judges that the rule `constrained` asks, by name; all that the trees have if left out.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub judges: Vec<String> = Vec::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_plain_data() {
        let read = |text: &str| serde_json::from_str::<PairRules>(text);
        assert_eq!(read("{}").unwrap(), PairRules::default());
        let names = [
            ("sign", PairRule::Sign),
            ("margin", PairRule::Margin),
            ("best_worst", PairRule::BestWorst),
            ("all", PairRule::All),
            ("first_error", PairRule::FirstError),
            ("reward_to_go", PairRule::RewardToGo),
            ("mcts_dpo", PairRule::MctsDpo),
            ("ranked", PairRule::Ranked),
            ("constrained", PairRule::Constrained),
        ];
        for (name, rule) in names {
            assert_eq!(read(&format!("{{\"rule\": \"{name}\"}}")).unwrap().rule, rule);
        }
        let rules = PairRules {
            rule: PairRule::Margin,
            min_margin: 0.3,
            min_visits: 5,
            judges: vec!["equations".into()],
            max_pairs_per_problem: Some(9),
            dedup: false,
            balance: true,
            curriculum: Curriculum::Margin,
        };
        let text = serde_json::to_string(&rules).unwrap();
        let names = r#"{"rule":"margin","min_margin":0.3,"min_visits":5,"judges":["equations"],"max_pairs_per_problem":9,"dedup":false,"balance":true,"curriculum":"margin"}"#;
        assert_eq!(text, names);
        assert_eq!(read(&text).unwrap(), rules);
        assert!(read("{\"min_margins\": 1}").is_err());
        assert!(read("{\"rule\": \"signs\"}").is_err());
    }

    #[test]
    fn rules_that_select_nothing_are_refused() {
        let message = |rules: PairRules| rules.check().unwrap_err().to_string();
        let default = PairRules::default();
        default.check().unwrap();
        PairRules { rule: PairRule::Margin, min_margin: 2.0, ..default.clone() }.check().unwrap();
        assert_eq!(
            message(PairRules { rule: PairRule::Margin, ..default.clone() }),
            "min_margin is 0, but must be more than 0 under the rule margin"
        );
        for min_margin in [-0.1, 2.1, f64::NAN] {
            let text = message(PairRules { min_margin, ..default.clone() });
            assert_eq!(text, format!("min_margin is {min_margin}, but must be between 0 and 2"));
        }
        assert!(
            message(PairRules { max_pairs_per_problem: Some(0), ..default }).starts_with("max_pairs_per_problem is 0")
        );
    }
}
