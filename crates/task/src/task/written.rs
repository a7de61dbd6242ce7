//! Worked solutions as the steps of a task.

use super::names::Granularity;
use super::{Inner, Task};
use crate::problem::Worked;

impl Task {
    /// A worked solution as the steps that follow the prompt, each up to and including its stop string.
    ///
    /// Steps of a plan have their headings already. In the granularity [`Granularity::Step`] the plan is left out, and the
    /// solution is split at its lines, or at its sentences if it is one line; all from the answer on is the last step.
    pub fn segments(&self, worked: &Worked) -> Vec<String> {
        self.inner.segments(worked)
    }
}

impl Inner {
    pub(super) fn segments(&self, worked: &Worked) -> Vec<String> {
        let (step, solution) = (&self.step, &self.solution);
        let one = |text: &str| format!("{}{text}{}", step.begin.text, step.end.text);
        let last = |text: &str| format!("{}{text}{}", solution.begin.text, solution.end.text);
        if step.kind == Granularity::Plan {
            return worked.plan.iter().map(|text| one(text)).chain([last(&worked.solution)]).collect();
        }
        let mut pieces = self.pieces(&worked.solution);
        let end = pieces.pop().map(|text| last(&text));
        let headed = |(at, text): (usize, &String)| match &step.heading {
            Some(heading) => one(&format!("{} {text}", heading.written(at + 1))),
            None => one(text),
        };
        pieces.iter().enumerate().map(headed).chain(end).collect()
    }

    /// Splits a worked solution into steps: at line breaks, or at sentence ends if it is one line. What comes after the
    /// first answer stays with it, so the answer is in the last step and only there.
    fn pieces(&self, solution: &str) -> Vec<String> {
        let lines: Vec<&str> = solution.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let several_lines = lines.len() > 1;
        let pieces: Vec<&str> = if several_lines { lines } else { solution.trim().split_inclusive(". ").collect() };
        let answered = pieces.iter().position(|piece| self.answer.is_marked_in(piece));
        let last = answered.unwrap_or(pieces.len().saturating_sub(1));
        let mut steps: Vec<String> = pieces[..last].iter().map(|piece| piece.trim().to_owned()).collect();
        let joint = if several_lines { "\n" } else { "" };
        steps.extend((last < pieces.len()).then(|| pieces[last..].join(joint).trim().to_owned()));
        steps
    }
}
