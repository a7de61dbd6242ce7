//! What a prompt format means to a search: where steps end, and what their texts are worth.

use espalier_search::{Judge, Place, Stops, Verdict, last_stop};
use espalier_task::{Format, Granularity, StepText, equivalent};
use espalier_tree::{Ending, Kind, TreeInfo};

/// What ends a step and a path in a format.
pub fn stops(format: Format, granularity: Granularity) -> Stops {
    Stops { step: format.step_stops(granularity).into(), path: format.path_stops(granularity).into() }
}

/// Judges steps written in a prompt format against the problem's reference answer.
#[derive(Clone, Copy, Debug)]
pub struct FormatJudge {
    /// How prompts and steps are written.
    pub format: Format,
    /// What one step is.
    pub granularity: Granularity,
}

impl FormatJudge {
    /// What one sampled step is.
    pub(crate) fn read_step(self, text: &str) -> StepText {
        self.format.read_step(self.granularity, text)
    }

    /// What the rest of a path is.
    pub(crate) fn read_path(self, text: &str) -> StepText {
        self.format.read_path(self.granularity, text)
    }

    /// The part of a judgement that needs no reference: the verdict, or a solution's answer.
    fn read(self, text: &str) -> Result<Verdict, String> {
        match self.read_step(text) {
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
    pub(crate) fn malformed(self) -> Verdict {
        let kind = match self.granularity {
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
        last_stop(text, &self.format.ends())
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        match self.read_path(text) {
            StepText::Solution { answer } => Self::solution(at.info(), answer),
            _ => self.malformed(),
        }
    }
}

/// The judge of a search whose answers are to be measured: it never looks at the reference. Every solution with an answer
/// counts as correct, so that the search is led by the value head and by what is well-formed alone.
#[derive(Clone, Copy, Debug)]
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
        match self.0.read_path(text) {
            StepText::Solution { answer } => Self::solution(answer),
            _ => self.0.malformed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_with_its_last_stop_string_whatever_its_last_token_has_beyond_it() {
        let judge = FormatJudge { format: Format::Xml, granularity: Granularity::Plan };
        let ends = |text: &str| judge.end(text).map(|end| text[end..].to_owned());
        assert_eq!(ends("<step>Plan 1: add</step>").as_deref(), Some(""));
        assert_eq!(ends("<step>Plan 1: add</step><").as_deref(), Some("<"));
        assert_eq!(ends("</plan><solution>7</solution>\n\n").as_deref(), Some("\n\n"));
        assert_eq!(ends("<step>Plan 1: add"), None);
        assert_eq!(BlindJudge(judge).end("</step><"), Some(7));
        let judge = FormatJudge { format: Format::Instruct, granularity: Granularity::Step };
        assert_eq!(judge.end("Step 1: 7<endstep>\n"), Some(18));
    }
}
