//! The `xml` format: tags, for models that were trained on them.

use super::reading::{has_any, is_one_headed_step, solution, solution_steps};
use super::{Granularity, StepText};
use crate::problem::Worked;

pub(super) const END_OF_STEP: &str = "</step>";
pub(super) const END_OF_SOLUTION: &str = "</solution>";
pub(super) const NEXT_QUESTION: &str = "<question>";

pub(super) const TAGS: [&str; 8] =
    ["<question>", "</question>", "<plan>", "</plan>", "<step>", "</step>", "<solution>", "</solution>"];

pub(super) fn prompt(granularity: Granularity, question: &str) -> String {
    let section = match granularity {
        Granularity::Plan => "<plan>",
        Granularity::Step => "<solution>",
    };
    format!("<question>{question}</question>{section}")
}

pub(super) fn segments(granularity: Granularity, worked: &Worked) -> Vec<String> {
    let tagged = |step: &String| format!("<step>{step}</step>");
    match granularity {
        Granularity::Plan => {
            let end = format!("</plan><solution>{}</solution>", worked.solution);
            worked.plan.iter().map(tagged).chain([end]).collect()
        }
        Granularity::Step => {
            let mut steps = solution_steps(&worked.solution);
            let end = steps.pop().map(|last| format!("{last}</solution>"));
            steps.iter().map(tagged).chain(end).collect()
        }
    }
}

pub(super) fn read_step(granularity: Granularity, text: &str) -> StepText {
    let text = text.trim();
    let step = text.strip_prefix("<step>").and_then(|rest| rest.strip_suffix(END_OF_STEP)).map(str::trim);
    let end = text.strip_suffix(END_OF_SOLUTION);
    let end = match granularity {
        Granularity::Plan => end
            .and_then(|rest| rest.strip_prefix("</plan>"))
            .and_then(|rest| rest.trim_start().strip_prefix("<solution>")),
        Granularity::Step => end,
    };
    match (granularity, step, end) {
        (_, Some(body), _) | (_, _, Some(body)) if has_any(body, &TAGS) => StepText::Malformed,
        (_, None, Some(body)) => solution(body),
        (Granularity::Plan, Some(body), _) if is_one_headed_step(body, "Plan") && !body.contains("\\boxed") => {
            StepText::Plan
        }
        (Granularity::Step, Some(body), _) if body.contains("\\boxed") => solution(body),
        (Granularity::Step, Some(body), _) if !body.is_empty() => StepText::Step,
        _ => StepText::Malformed,
    }
}
