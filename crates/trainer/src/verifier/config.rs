//! What a verifier is and what it learns.

use espalier_settings::choices;

choices! {
    /// Whether the transformer below a verifier's heads is trained with them.
    #[derive(Default)]
    pub enum Trunk {
        /// It is, or its adapters are: the verifier is another model than the policy.
        #[default]
        Trained = "trained",
        /// It stays the policy's: each state runs through it once, then only the heads are trained.
        Frozen = "frozen",
    }
}

choices! {
    /// What a verifier learns from the siblings of searched trees.
    #[derive(Default)]
    pub enum VerifierObjective {
        /// Which of two siblings is better: -ls(s_w - s_l), s = w . h a head's score (Tree-PLV, arXiv:2407.00390).
        ///
        /// Only differences between siblings are learnt: the values rank, but say no chance.
        Ranking = "ranking",
        /// Q: (tanh(s) - Q)^2, by the visits of each step.
        Regression = "regression",
        /// Ranking, and `regression_weight` times the regression.
        #[default]
        Both = "both",
    }
}

/// What [`Trainer::verifier`](crate::Trainer::verifier) makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerifierRules {
    /// K, at least 1.
    pub heads: usize,
    /// Whether the trunk is trained.
    pub trunk: Trunk,
    /// What is learnt.
    pub objective: VerifierObjective,
    /// Weight of the regression beside the ranking, above 0.
    pub regression_weight: f64,
    /// Decides how several heads begin, and which problems each of them sees.
    pub seed: u64,
}

impl VerifierRules {
    /// Weights of ranking and regression.
    #[cfg(feature = "torch")]
    pub(super) fn weights(&self) -> [f64; 2] {
        match self.objective {
            VerifierObjective::Ranking => [1.0, 0.0],
            VerifierObjective::Regression => [0.0, 1.0],
            VerifierObjective::Both => [1.0, self.regression_weight],
        }
    }
}
