//! The judge of the search: a step's text read in the run's format, its answer compared with the reference.

use espalier_search::{Judge, Verdict};
use espalier_task::{Format, Granularity, StepText, equivalent};
use espalier_tree::{Ending, Kind, TreeInfo};

/// Judges steps written in a prompt format against the problem's reference answer.
#[derive(Clone, Copy, Debug)]
pub struct FormatJudge {
    /// How prompts and steps are written.
    pub format: Format,
    /// What one step is.
    pub granularity: Granularity,
}

impl FormatJudge {
    fn solution(info: &TreeInfo, answer: String) -> Verdict {
        let correct = equivalent(&info.reference_answer, &answer);
        let ending = if correct { Ending::Correct } else { Ending::Wrong };
        Verdict { kind: Kind::Solution, ending, answer: Some(answer) }
    }

    /// Whatever it was meant to be, it reads as no step; it is kept as the kind that could follow here.
    fn malformed(self) -> Verdict {
        let kind = match self.granularity {
            Granularity::Plan => Kind::Plan,
            Granularity::Step => Kind::Step,
        };
        Verdict { kind, ending: Ending::Malformed, answer: None }
    }
}

impl Judge for FormatJudge {
    fn judge(&self, info: &TreeInfo, text: &str) -> Verdict {
        match self.format.read_step(self.granularity, text) {
            StepText::Plan => Verdict { kind: Kind::Plan, ending: Ending::None, answer: None },
            StepText::Step => Verdict { kind: Kind::Step, ending: Ending::None, answer: None },
            StepText::Solution { answer } => Self::solution(info, answer),
            StepText::Malformed => self.malformed(),
        }
    }

    fn judge_path(&self, info: &TreeInfo, text: &str) -> Verdict {
        match self.format.read_path(self.granularity, text) {
            StepText::Solution { answer } => Self::solution(info, answer),
            _ => self.malformed(),
        }
    }
}
