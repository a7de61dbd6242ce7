//! What a sampled text turned out to be.

use super::names::Granularity;
use super::{AnswerPlace, Inner, Task};
use std::fmt;

/// What a sampled text turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepText {
    /// One step of a plan.
    Plan,
    /// One step of a solution.
    Step,
    /// A solution, or a solution's last step: it has an answer.
    Solution {
        /// The answer, trimmed.
        answer: String,
    },
    /// Anything else, such as an empty step, two steps in one, wrong tags, or a solution without an answer.
    Malformed,
}

/// Why a text is malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is nothing but white space.
    Empty,
    /// It ends in neither the end of a step nor that of a solution.
    NoEnd,
    /// It does not begin as what ends so begins.
    NoBegin(String),
    /// It holds a text that stands between steps or in no step.
    Foreign(String),
    /// It lacks its one heading, or what should follow it.
    Heading(String),
    /// A step of a plan has an answer already.
    EarlyAnswer,
    /// A solution has no answer; what was looked for.
    NoAnswer(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Empty => f.write_str("it is empty"),
            Fault::NoEnd => f.write_str("it has neither the end of a step nor that of a solution"),
            Fault::NoBegin(begin) => write!(f, "it ends as what begins with {begin:?}, which it does not"),
            Fault::Foreign(text) => write!(f, "it has {text:?} inside, which no step may have"),
            Fault::Heading(heading) => write!(f, "it is not one heading {heading:?} with something behind it"),
            Fault::EarlyAnswer => f.write_str("it has an answer, which only a solution may have"),
            Fault::NoAnswer(wanted) => write!(f, "it has no {wanted}"),
        }
    }
}

impl Task {
    /// What one sampled step, up to and including its stop string, is. White space around it does not matter.
    pub fn read_step(&self, text: &str) -> StepText {
        self.try_read(text).unwrap_or(StepText::Malformed)
    }

    /// As [`read_step`](Task::read_step), with the reason why a text is malformed.
    ///
    /// # Errors
    /// What makes the text malformed.
    pub fn try_read(&self, text: &str) -> Result<StepText, Fault> {
        self.inner.read_step(text)
    }

    /// What the rest of a path, sampled in one go up to its path stop, is: [`StepText::Solution`] if it is a sequence of
    /// well-formed steps of which the last, and only the last, is a solution; else [`StepText::Malformed`].
    pub fn read_path(&self, text: &str) -> StepText {
        let mut rest = text;
        loop {
            let end = self.inner.ends.iter().filter_map(|stop| Some(rest.find(stop.as_str())? + stop.len())).min();
            let end = match end {
                Some(end) => end,
                // What the model ended itself has no stop string.
                None if self.inner.solution.end.text.is_empty() => rest.len(),
                None => return StepText::Malformed,
            };
            let (step, after) = rest.split_at(end);
            match self.read_step(step) {
                StepText::Plan | StepText::Step => rest = after,
                StepText::Solution { answer } if after.trim().is_empty() => return StepText::Solution { answer },
                StepText::Solution { .. } | StepText::Malformed => return StepText::Malformed,
            }
        }
    }

    /// The answer of a path: as it is read, or where the path is malformed, at the answer's place in all of it. A whole
    /// solution is found in a well-formed path only.
    pub fn answer_of(&self, path: &str) -> Option<String> {
        match self.read_path(path) {
            StepText::Solution { answer } => Some(answer),
            _ if matches!(self.inner.answer, AnswerPlace::Whole) => None,
            _ => self.inner.answer.find(path),
        }
    }
}

impl Inner {
    pub(super) fn read_step(&self, text: &str) -> Result<StepText, Fault> {
        let text = text.trim_start();
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        let step = self.step.end.before(text).map(|body| self.step.begin.after(body).map(str::trim));
        let solution = match self.solution.end.before(text) {
            // A solution that the model ends itself ends in nothing else.
            None if self.solution.end.text.is_empty() && step.is_none() => Some(text),
            body => body,
        };
        let solution = solution.map(|body| self.solution.begin.after(body));
        for body in [step, solution].into_iter().flatten().flatten() {
            if let Some(foreign) = self.foreign.iter().find(|foreign| body.contains(foreign.as_str())) {
                return Err(Fault::Foreign(foreign.clone()));
            }
        }
        let no_begin = |begin: &str| Fault::NoBegin(begin.trim().to_owned());
        match (step, solution) {
            (Some(Some(body)), None | Some(None)) => self.step(body),
            // What may be either is a step if it reads as one.
            (Some(Some(step)), Some(Some(solution))) => self.step(step).or_else(|fault| {
                let solution = self.solution(solution);
                if solution.is_ok() { solution } else { Err(fault) }
            }),
            (_, Some(Some(body))) => self.solution(body),
            (Some(None), _) => Err(no_begin(&self.step.begin.text)),
            (None, Some(None)) => Err(no_begin(&self.solution.begin.text)),
            (None, None) => Err(Fault::NoEnd),
        }
    }

    /// A text between the borders of a step.
    fn step(&self, body: &str) -> Result<StepText, Fault> {
        match &self.step.heading {
            Some(heading) if !heading.leads(body) => return Err(Fault::Heading(heading.written(1))),
            None if body.is_empty() => return Err(Fault::Empty),
            _ => {}
        }
        match (self.step.kind, self.answer.is_marked_in(body)) {
            (Granularity::Plan, false) => Ok(StepText::Plan),
            (Granularity::Plan, true) => Err(Fault::EarlyAnswer),
            (Granularity::Step, false) => Ok(StepText::Step),
            (Granularity::Step, true) => self.solution(body),
        }
    }

    /// A text between the borders of a solution.
    fn solution(&self, body: &str) -> Result<StepText, Fault> {
        let answer = self.answer.find(body).ok_or_else(|| Fault::NoAnswer(self.answer.words()))?;
        Ok(StepText::Solution { answer })
    }
}
