//! The methods that an experiment compares.

use espalier_settings::choices;

choices! {
    /// A way to learn from a block's worked solutions and trees. A method comes after the one that it starts from.
    #[derive(PartialOrd, Ord)]
    pub enum Method {
        /// The warm start as it is.
        Sft = "sft",
        /// From the warm start, with no supervised training between: Step-APO on sibling steps.
        StepApoAlone = "step_apo_alone",
        /// Supervised training on the correct paths of the trees alone, as CPL has it.
        FoundSft = "found_sft",
        /// The control: as many further optimiser steps as `RejectionSft` takes, on worked solutions with the right answer only.
        MoreSft = "more_sft",
        /// Supervised training on the worked solutions with the right answer and on the correct paths of the trees.
        RejectionSft = "rejection_sft",
        /// After `RejectionSft`: DPO on whole correct against whole wrong paths of the trees.
        OutcomeDpo = "outcome_dpo",
        /// After `RejectionSft`: Step-DPO on sibling steps.
        StepDpo = "step_dpo",
        /// After `RejectionSft`: Step-APO on sibling steps.
        StepApo = "step_apo",
    }
}

impl Method {
    /// Whether the method learns from trees.
    pub(super) fn samples(self) -> bool {
        !matches!(self, Method::Sft | Method::MoreSft)
    }
}
