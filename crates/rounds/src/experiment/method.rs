//! The methods that an experiment compares.

use serde::{Deserialize, Serialize};

/// A way to learn from a block's worked solutions and trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The warm start as it is.
    Sft,
    /// From the warm start, with no supervised training between: Step-APO on sibling steps.
    StepApoAlone,
    /// Supervised training on the correct paths of the trees alone, as CPL has it.
    FoundSft,
    /// The control: as many further optimiser steps as `RejectionSft` takes, on worked solutions with the right answer only.
    MoreSft,
    /// Supervised training on the worked solutions with the right answer and on the correct paths of the trees.
    RejectionSft,
    /// After `RejectionSft`: DPO on whole correct against whole wrong paths of the trees.
    OutcomeDpo,
    /// After `RejectionSft`: Step-DPO on sibling steps.
    StepDpo,
    /// After `RejectionSft`: Step-APO on sibling steps.
    StepApo,
}

impl Method {
    /// All of them, in the order of the table; a method comes after the one that it starts from.
    pub const ALL: [Method; 8] = [
        Method::Sft,
        Method::StepApoAlone,
        Method::FoundSft,
        Method::MoreSft,
        Method::RejectionSft,
        Method::OutcomeDpo,
        Method::StepDpo,
        Method::StepApo,
    ];

    /// Name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Method::Sft => "sft",
            Method::StepApoAlone => "step_apo_alone",
            Method::FoundSft => "found_sft",
            Method::MoreSft => "more_sft",
            Method::RejectionSft => "rejection_sft",
            Method::OutcomeDpo => "outcome_dpo",
            Method::StepDpo => "step_dpo",
            Method::StepApo => "step_apo",
        }
    }

    /// Whether the method learns from trees.
    pub(super) fn samples(self) -> bool {
        !matches!(self, Method::Sft | Method::MoreSft)
    }
}
