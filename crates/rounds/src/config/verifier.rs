//! Table `verifier`: how a verifier is made of trees.

use super::training::paper;
use espalier_settings::range::{above, at_least_and_below, between};
use espalier_settings::{OutOfRange, settings};
use espalier_trainer::{TrainConfig, Trunk, VerifierObjective};
use espalier_tree::{Curriculum, PairRule, PairRules};

settings! {
    /// Training of a verifier, a scorer of states that is not the policy.
    pub struct VerifierConfig {
        /// Heads of the verifier, whose mean is the value; several begin apart, and each sees a bootstrap draw of the problems.
        ///
        /// arXiv:2310.02743.
        pub heads: usize = 1, between(1, 1024);
        /// Whether the transformer below the heads is trained with them.
        pub trunk: Trunk = Trunk::Trained;
        /// What the verifier learns.
        pub objective: VerifierObjective = VerifierObjective::Both;
        /// With the objective both: weight of the regression beside the ranking.
        pub regression_weight: f64 = 1.0, above(0);
        /// Which siblings are ranked.
        pub pairs: PairRules = PairRules { rule: PairRule::All, ..PairRules::default() };
        /// Hold out the trees of this share of the problems for the report; those of a folder of their own if one is given.
        pub held_out_fraction: f64 = 0.1, at_least_and_below(0, 1);
        /// Optimisation of a verifier; a batch is of states whose next steps are compared.
        pub train: TrainConfig = paper(1e-5, 1);
    }
    together: VerifierConfig::pairs_stay_where_they_are;
}

impl VerifierConfig {
    /// What arranges a file of pairs has no meaning here, where each stays with its siblings.
    fn pairs_stay_where_they_are(&self) -> Result<(), OutOfRange> {
        let PairRules { balance, curriculum, .. } = self.pairs;
        if balance {
            return Err(OutOfRange::new("pairs.balance", balance, "false: a verifier takes siblings as they are"));
        }
        if curriculum != Curriculum::None {
            return Err(OutOfRange::new("pairs.curriculum", curriculum, "none: a verifier's batches are shuffled"));
        }
        Ok(())
    }
}
