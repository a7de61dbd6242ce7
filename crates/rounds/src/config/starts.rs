//! Table `starts`: where searches start.

use espalier_settings::range::above_and_at_most;
use espalier_settings::{choices, settings};

choices! {
    /// Which states of stored trees a search may start at.
    #[derive(Default)]
    pub enum StartStates {
        /// Any that can go on.
        #[default]
        Any = "any",
        /// Those on the way to a correct solution.
        Correct = "correct",
    }
}

settings! {
    /// Where searches start: at questions, or in the middle of solutions.
    pub struct StartsConfig {
        /// Start at states that are given: `worked`, a beginning of each problem's worked solution, or the folder of an earlier search's trees, a state of the problem's tree; at questions if left out.
        ///
        /// The steps up to the state stand in the root with the prompt and are not trained on (DR-PO, arXiv:2404.08495). A problem
        /// without such a state is searched from its question.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub states: Option<String> = None;
        /// Share of the problems that are started at a state, drawn by the seed.
        pub share: f64 = 1.0, above_and_at_most(0, 1);
        /// Which states of stored trees they are started at.
        pub from: StartStates = StartStates::Any;
    }
}

impl StartsConfig {
    /// Whether nothing was chosen; such a table is not written.
    pub(crate) fn is_default(&self) -> bool {
        *self == StartsConfig::default()
    }
}
