//! How a policy answers problems: the table `eval` of a configuration.

use espalier_settings::range::at_least;
use espalier_settings::{choices, settings};

choices! {
    /// How a policy answers.
    #[derive(Default)]
    pub enum Method {
        /// One answer of the likeliest token at every place.
        #[default]
        Greedy = "greedy",
        /// Several sampled answers: pass@k of them, and the answer that most of them give (arXiv:2203.11171).
        Sample = "sample",
        /// Beam search over steps, guided by the value head; its solutions vote. It does not see the reference.
        Beam = "beam",
        /// Monte-Carlo tree search that does not see the reference; its solutions vote.
        Mcts = "mcts",
    }
}

choices! {
    /// How the values of a path's steps make one score; a step of value V is right with probability (1 + V) / 2.
    #[derive(Default)]
    pub enum Aggregation {
        /// That of its last step.
        #[default]
        Last = "last",
        /// The least.
        Min = "min",
        /// Their mean.
        Mean = "mean",
        /// Their product.
        Product = "product",
    }
}

settings! {
    /// Evaluation; the temperature of sampled answers and the size of trees are the search's.
    #[derive(Eq)]
    pub struct EvalConfig {
        /// How the policy answers.
        pub method: Method = Method::Greedy;
        /// With the method sample: answers sampled to a problem.
        pub samples: usize = 16, at_least(1);
        /// With a verifier: how the values of an answer's steps make its score.
        pub aggregation: Aggregation = Aggregation::Last;
        /// With the method beam: states that go on at each level.
        pub beam_width: usize = 4, at_least(1);
        /// Most tokens of one answer, or with the methods beam and mcts of one step.
        pub max_tokens: usize = 512, at_least(1);
        /// Whether only boxed answers count; else "the answer is ...", "#### ..." and a last number do, too.
        pub boxed_only: bool = true;
    }
}
