//! How a problem is put to a model, where a step ends, and what a sampled step is.
//!
//! A path is a prompt followed by segments. Each segment is one step and ends in its stop string, so a prompt and the
//! segments of a path, joined, are the text of a state:
//!
//! ```text
//! xml, plan:  <question>Q</question><plan> | <step>Plan 1: ..</step> | .. | </plan><solution>..\boxed{7}</solution>
//! xml, step:  <question>Q</question><solution> | <step>..</step> | .. | The final answer is \boxed{7}.</solution>
//! ```

mod instruct;
mod reading;
#[cfg(test)]
mod tests;
mod xml;

use crate::problem::Worked;
use espalier_settings::choices;
use serde::{Deserialize, Serialize};

choices! {
    /// The layout of prompts and steps.
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

/// How the prompts of a policy that was trained here are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompting {
    /// Prompt format.
    pub format: Format,
    /// What one step is.
    pub granularity: Granularity,
}

/// What a sampled text turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepText {
    /// One step of a plan.
    Plan,
    /// One step of a solution.
    Step,
    /// A solution, or a solution's last step: it has a boxed answer.
    Solution {
        /// The boxed answer, trimmed.
        answer: String,
    },
    /// Anything else, such as an empty step, two steps in one, wrong tags, or a solution without a boxed answer.
    Malformed,
}

impl Format {
    /// The text that sampling starts from. It has no line break or space at its end.
    pub fn prompt(self, granularity: Granularity, question: &str) -> String {
        match self {
            Format::Instruct => instruct::prompt(granularity, question),
            Format::Xml => xml::prompt(granularity, question),
        }
    }

    /// Tags that a tokenizer made for this format should keep whole.
    pub fn tags(self) -> &'static [&'static str] {
        match self {
            Format::Instruct => &[],
            Format::Xml => &xml::TAGS,
        }
    }

    /// Strings that end a step. A sampled text includes the one that it ended in.
    pub fn step_stops(self, granularity: Granularity) -> Vec<String> {
        let step = match self {
            Format::Instruct => instruct::END_OF_STEP,
            Format::Xml => xml::END_OF_STEP,
        };
        let mut stops = vec![step.to_owned()];
        stops.extend(self.path_stops(granularity));
        stops
    }

    /// Strings that end a whole path: the end of the solution, or the opening of a next question.
    pub fn path_stops(self, _granularity: Granularity) -> Vec<String> {
        match self {
            Format::Instruct => vec![instruct::END_OF_SOLUTION.to_owned(), instruct::NEXT_QUESTION.to_owned()],
            Format::Xml => vec![xml::END_OF_SOLUTION.to_owned(), xml::NEXT_QUESTION.to_owned()],
        }
    }

    /// All strings that end a step or a path, in either granularity.
    pub fn ends(self) -> [&'static str; 3] {
        match self {
            Format::Instruct => [instruct::END_OF_STEP, instruct::END_OF_SOLUTION, instruct::NEXT_QUESTION],
            Format::Xml => [xml::END_OF_STEP, xml::END_OF_SOLUTION, xml::NEXT_QUESTION],
        }
    }

    /// A worked solution as the steps that follow the prompt, each up to and including its stop string.
    ///
    /// In the granularity [`Granularity::Step`] the plan is left out, and the solution is split at its lines, or at its
    /// sentences if it is one line; all from the boxed answer on is the last step.
    pub fn segments(self, granularity: Granularity, worked: &Worked) -> Vec<String> {
        match self {
            Format::Instruct => instruct::segments(granularity, worked),
            Format::Xml => xml::segments(granularity, worked),
        }
    }

    /// What one sampled step, up to and including its stop string, is. White space around it does not matter.
    pub fn read_step(self, granularity: Granularity, text: &str) -> StepText {
        match self {
            Format::Instruct => instruct::read_step(granularity, text),
            Format::Xml => xml::read_step(granularity, text),
        }
    }

    /// What the rest of a path, sampled in one go up to its path stop, is: [`StepText::Solution`] if it is a sequence of
    /// well-formed steps of which the last, and only the last, is a solution; else [`StepText::Malformed`].
    pub fn read_path(self, granularity: Granularity, text: &str) -> StepText {
        let stops = self.step_stops(granularity);
        let mut rest = text;
        loop {
            let end = stops.iter().filter_map(|stop| Some(rest.find(stop.as_str())? + stop.len())).min();
            let Some(end) = end else { return StepText::Malformed };
            let (step, after) = rest.split_at(end);
            match self.read_step(granularity, step) {
                StepText::Plan | StepText::Step => rest = after,
                StepText::Solution { answer } if after.trim().is_empty() => return StepText::Solution { answer },
                StepText::Solution { .. } | StepText::Malformed => return StepText::Malformed,
            }
        }
    }
}
