//! The `instruct` format: a few worked problems before the question, for base models.

use super::reading::{has_any, is_one_headed_step, solution, solution_steps};
use super::{Granularity, StepText};
use crate::problem::Worked;

pub(super) const END_OF_STEP: &str = "<endstep>";
pub(super) const END_OF_SOLUTION: &str = "<endsolution>";
/// Every question opens with this, on a line of its own.
pub(super) const NEXT_QUESTION: &str = "\nProblem:";

const PLANS: &str = "Plans:";
const IMPLEMENTATION: &str = "Detailed Implementation:";
const SOLUTION: &str = "Solution:";

/// A worked problem shown before the question.
struct Shot {
    question: &'static str,
    plan: &'static [&'static str],
    solution: &'static str,
}

const SHOTS: [Shot; 3] = [
    Shot {
        question: "A baker fills 6 trays with 8 rolls each. By noon 31 rolls are sold. How many rolls are left?",
        plan: &[
            "Plan 1: Find how many rolls were baked by multiplying the trays by the rolls on each.",
            "Plan 2: Subtract the rolls sold by noon.",
        ],
        solution: "There are 6 * 8 = 48 rolls on the trays.\nAfter the sale 48 - 31 = 17 rolls are left.\n\
                   The final answer is \\boxed{17}.",
    },
    Shot {
        question: "A shirt costs $40. It is first reduced by 25%, and a coupon then takes off $4. What is paid for it?",
        plan: &[
            "Plan 1: Find the reduction in dollars as a percentage of the price.",
            "Plan 2: Subtract the reduction from the price.",
            "Plan 3: Subtract the coupon from the reduced price.",
        ],
        solution: "The reduction is 40 * 25 / 100 = 10 dollars.\nThe reduced price is 40 - 10 = 30 dollars.\n\
                   With the coupon 30 - 4 = 26 dollars are paid.\nThe final answer is \\boxed{26}.",
    },
    Shot {
        question: "Solve $3(x - 2) = x + 5$ for $x$. Give the answer as a fraction.",
        plan: &[
            "Plan 1: Expand the product on the left.",
            "Plan 2: Collect the terms with x on one side and the numbers on the other.",
            "Plan 3: Divide by the factor of x.",
        ],
        solution: "Expanding gives 3x - 6 = x + 5.\nCollecting gives 2x = 11.\nSo x = \\frac{11}{2}.\n\
                   The final answer is \\boxed{\\frac{11}{2}}.",
    },
];

pub(super) fn prompt(granularity: Granularity, question: &str) -> String {
    let (task, section) = match granularity {
        Granularity::Plan => ("First plan how to solve the problem, then carry the plan out.", PLANS),
        Granularity::Step => ("Solve the problem step by step.", SOLUTION),
    };
    let mut prompt = format!("{task} End with \"The final answer is \\boxed{{...}}.\"\n");
    let opening = |question: &str| format!("{NEXT_QUESTION} {question}\n{section}");
    for shot in &SHOTS {
        let worked = Worked {
            plan: shot.plan.iter().map(|&step| step.to_owned()).collect(),
            solution: shot.solution.to_owned(),
        };
        prompt += &opening(shot.question);
        prompt.extend(segments(granularity, &worked));
        prompt.push('\n');
    }
    prompt + &opening(question)
}

pub(super) fn segments(granularity: Granularity, worked: &Worked) -> Vec<String> {
    match granularity {
        Granularity::Plan => {
            let end = format!("\n{IMPLEMENTATION}\n{}{END_OF_SOLUTION}", worked.solution);
            worked.plan.iter().map(|step| format!("\n{step}{END_OF_STEP}")).chain([end]).collect()
        }
        Granularity::Step => {
            let mut steps = solution_steps(&worked.solution);
            let end = steps.pop().map(|last| format!("\n{last}{END_OF_SOLUTION}"));
            let numbered = |(index, step)| format!("\nStep {}: {step}{END_OF_STEP}", index + 1);
            steps.iter().enumerate().map(numbered).chain(end).collect()
        }
    }
}

pub(super) fn read_step(granularity: Granularity, text: &str) -> StepText {
    const MARKS: [&str; 3] = [END_OF_STEP, END_OF_SOLUTION, NEXT_QUESTION];
    let text = text.trim();
    let step = text.strip_suffix(END_OF_STEP).map(str::trim);
    let end = text.strip_suffix(END_OF_SOLUTION);
    let end = match granularity {
        Granularity::Plan => end.and_then(|rest| rest.strip_prefix(IMPLEMENTATION)),
        Granularity::Step => end,
    };
    match (granularity, step, end) {
        (_, Some(body), _) | (_, _, Some(body)) if has_any(body, &MARKS) || body.contains(IMPLEMENTATION) => {
            StepText::Malformed
        }
        (_, None, Some(body)) => solution(body),
        (Granularity::Plan, Some(body), _) if is_one_headed_step(body, "Plan") && !body.contains("\\boxed") => {
            StepText::Plan
        }
        (Granularity::Step, Some(body), _) if is_one_headed_step(body, "Step") => {
            if body.contains("\\boxed") {
                solution(body)
            } else {
                StepText::Step
            }
        }
        _ => StepText::Malformed,
    }
}
