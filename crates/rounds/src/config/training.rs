//! Tables `sft` and `prefer`, and the paper's numbers for every training stage.

use espalier_settings::range::{at_least, at_least_and_below, one_of};
use espalier_settings::{choices, settings};
use espalier_trainer::{LOSSES, TrainConfig};
use std::collections::BTreeMap;

/// Optimisation as the paper has it, whose stages differ in these two numbers.
pub(super) fn paper(learning_rate: f64, epochs: u32) -> TrainConfig {
    TrainConfig { learning_rate, epochs, ..TrainConfig::default() }
}

settings! {
    /// Supervised training on found paths.
    pub struct SftConfig {
        /// At most this many correct paths of a problem, chosen at random.
        ///
        /// Algorithm, section 4.
        pub max_paths_per_problem: usize = 4, at_least(1);
        /// Train a round on worked solutions and found paths of earlier rounds too, not on its own found paths only.
        ///
        /// As rejection-sampling fine-tuning does (arXiv:2308.01825). Worked solutions of round 0 with a wrong answer stay
        /// out.
        pub rehearse: bool = false;
        /// In training on trees: weight of the value head's squared error, to train head and policy at once; 0 is off.
        ///
        /// arXiv:2405.03553; with 0 the value is left to a stage of its own.
        pub value_weight: f64 = 0.0, at_least(0);
        /// Optimisation of supervised training on found paths.
        pub train: TrainConfig = paper(1e-5, 5);
    }
}

choices! {
    /// What is preferred to what.
    pub enum Preferred {
        /// Steps of one state.
        Steps = "steps",
        /// Correct paths to wrong ones, a tree taken for so many whole samples: outcome-level DPO, and, by losses over lists, GRPO's groups.
        Paths = "paths",
    }
}

choices! {
    /// Which tokens of a step a preference is about.
    pub enum Credit {
        /// All of them.
        Step = "step",
        /// Those up to the first in which it differs from the other: what follows only carries out what was decided there, and where it is rejected would be unlearnt with it.
        Decision = "decision",
    }
}

settings! {
    /// Preference training.
    pub struct PreferConfig {
        /// Objective; step-train objective --list explains them.
        pub loss: String = "step_apo".into(), one_of(LOSSES);
        /// What a round prefers: steps, by the pairs rules, or whole paths.
        pub of: Preferred = Preferred::Steps;
        /// Which tokens of a step the preference is about.
        pub credit: Credit = Credit::Step;
        /// A parameter of the objective that differs from its default, as in beta=0.1.
        pub parameters: BTreeMap<String, f64> = BTreeMap::new();
        /// Weight of an added supervised term on the chosen step.
        ///
        /// The term is -log pi(chosen) / |chosen|.
        pub sft_weight: f64 = 0.0;
        /// Factor on the Q of solution pairs.
        ///
        /// Algorithm, section 4.
        pub solution_q_scale: f32 = 0.3;
        /// Hold out this share of the pairs, whole trees or prompts of them.
        pub held_out_fraction: f64 = 0.0, at_least_and_below(0, 1);
        /// Whether steps given as text get the tokenizer's end-of-text token.
        pub append_eos: bool = true;
        /// Optimisation of preference training.
        pub train: TrainConfig = paper(1e-6, 3);
    }
}
