//! The names of the built-in tasks, and of their variants.

use espalier_settings::choices;

choices! {
    /// A built-in task: the layout of prompts and steps.
    pub enum Format {
        /// Few-shot, for a base model.
        Instruct = "instruct",
        /// Tags, for a model that was trained on them.
        Xml = "xml",
    }
}

choices! {
    /// What one step is.
    pub enum Granularity {
        /// Plan steps, then the whole solution as one step (CPL).
        Plan = "plan",
        /// The solution itself, split into steps (Step-DPO, MCTS-DPO, AlphaMath).
        Step = "step",
    }
}

impl Format {
    /// The task's file.
    pub fn file(self) -> &'static str {
        match self {
            Format::Instruct => include_str!("instruct.toml"),
            Format::Xml => include_str!("xml.toml"),
        }
    }
}
