//! What a task means to a search: where steps end, and what their texts are worth.

use espalier_search::{Judge, Place, Stops, Verdict, last_stop};
use espalier_task::{Granularity, StepText, Task, equivalent};
use espalier_tree::{Ending, Kind, TreeInfo};

/// What ends a step and a path of a task.
pub fn stops(task: &Task) -> Stops {
    Stops { step: task.step_stops().into(), path: task.path_stops().into() }
}

/// Judges steps written as a task has them against the problem's reference answer.
#[derive(Clone, Debug)]
pub struct FormatJudge {
    /// How prompts and steps are written and read.
    pub task: Task,
}

impl FormatJudge {
    /// The part of a judgement that needs no reference: the verdict, or a solution's answer.
    fn read(&self, text: &str) -> Result<Verdict, String> {
        match self.task.read_step(text) {
            StepText::Plan => Ok(Verdict::new(Kind::Plan, Ending::None, None)),
            StepText::Step => Ok(Verdict::new(Kind::Step, Ending::None, None)),
            StepText::Solution { answer } => Err(answer),
            StepText::Malformed => Ok(self.malformed()),
        }
    }

    fn solution(info: &TreeInfo, answer: String) -> Verdict {
        let reference = &info.reference_answer;
        let ending = match reference.is_empty() {
            true => Ending::Unverified,
            false if equivalent(reference, &answer) => Ending::Correct,
            false => Ending::Wrong,
        };
        Verdict::new(Kind::Solution, ending, Some(answer))
    }

    /// Whatever it was meant to be, it reads as no step; it is kept as the kind that could follow here.
    pub(crate) fn malformed(&self) -> Verdict {
        let kind = match self.task.granularity() {
            Granularity::Plan => Kind::Plan,
            Granularity::Step => Kind::Step,
        };
        Verdict::new(kind, Ending::Malformed, None)
    }
}

impl Judge for FormatJudge {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        self.read(text).unwrap_or_else(|answer| Self::solution(at.info(), answer))
    }

    fn end(&self, text: &str) -> Option<usize> {
        last_stop(text, self.task.step_stops())
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        match self.task.read_path(text) {
            StepText::Solution { answer } => Self::solution(at.info(), answer),
            _ => self.malformed(),
        }
    }
}

/// The judge of a search whose answers are to be measured: it never looks at the reference. Every solution with an answer
/// counts as correct, so that the search is led by the value head and by what is well-formed alone.
#[derive(Clone, Debug)]
pub struct BlindJudge(pub FormatJudge);

impl BlindJudge {
    fn solution(answer: String) -> Verdict {
        Verdict::new(Kind::Solution, Ending::Correct, Some(answer))
    }
}

impl Judge for BlindJudge {
    fn judge(&self, _: Place<'_>, text: &str) -> Verdict {
        self.0.read(text).unwrap_or_else(Self::solution)
    }

    fn end(&self, text: &str) -> Option<usize> {
        self.0.end(text)
    }

    fn judge_path(&self, _: Place<'_>, text: &str) -> Verdict {
        match self.0.task.read_path(text) {
            StepText::Solution { answer } => Self::solution(answer),
            _ => self.0.malformed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_task::Format;

    #[test]
    fn a_step_ends_with_its_last_stop_string_whatever_its_last_token_has_beyond_it() {
        let judge = FormatJudge { task: Task::built_in(Format::Xml, Granularity::Plan) };
        let ends = |text: &str| judge.end(text).map(|end| text[end..].to_owned());
        assert_eq!(ends("<step>Plan 1: add</step>").as_deref(), Some(""));
        assert_eq!(ends("<step>Plan 1: add</step><").as_deref(), Some("<"));
        assert_eq!(ends("</plan><solution>7</solution>\n\n").as_deref(), Some("\n\n"));
        assert_eq!(ends("<step>Plan 1: add"), None);
        assert_eq!(BlindJudge(judge.clone()).end("</step><"), Some(7));
        let judge = FormatJudge { task: Task::built_in(Format::Instruct, Granularity::Step) };
        assert_eq!(judge.end("Step 1: 7<endstep>\n"), Some(18));
    }
}
