//! Readers of what models write: answers, extraction, steps and paths.

use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_search::last_stop;
use espalier_task::{
    AnswerKind, Equation, Format, Granularity, StepText, Task, Truth, Worked, boxed, equations, equivalent, extract,
};
use std::borrow::Cow;

/// Answers with what is the same, as the tests of this project judge them.
const JUDGED: &str = include_str!("../../../task/tests/answers.tsv");
const LATEX: &[&str] = &[
    "\\frac{",
    "\\sqrt[3]{",
    "\\boxed{",
    "\\text{",
    "\\left(",
    "\\right)",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "&",
    "\\\\",
    "\\cup",
    "\\infty",
    "\\pi",
    "^{",
    "_{",
    "!",
    "%",
    "\\%",
    "$",
    "\\binom{",
    "\\log_{",
    "\\sin",
    "\\le",
    "=",
    "\\pm",
    "\\dfrac12",
    "\\overline{",
    "x",
    "e",
    "i",
    "9^9^9",
    "10^{",
    "1,000",
    "\\cdot",
    "\\circ",
    "cm^2",
    "\\mathbb{R}",
    "|",
    "\\{",
    "\\}",
    "\\in",
    "mod",
    "....",
    "1e99",
];
const MARKS: &[&str] = &[
    "\\boxed{",
    "}",
    "#### ",
    "answer is ",
    "Answer: ",
    "(B)",
    "```python\n",
    "```",
    "</step>",
    "<step>",
    "</plan>",
    "<plan>",
    "<solution>",
    "</solution>",
    "Plan 1: ",
    "Step 1: ",
    "### ",
    "The final answer is",
];

const SUMS: &[&str] = &[
    "=",
    "≈",
    " = ",
    "+",
    "-",
    "*",
    "/",
    " x ",
    "×",
    "\\times ",
    "\\frac{",
    "}{",
    "}",
    "(",
    ")",
    "%",
    "$",
    ",",
    ".",
    "^",
    "²",
    "½",
    "<<",
    ">>",
    "1,000",
    "3.33",
    "half of ",
    " remainder ",
    " of ",
    " apples",
    "hours",
    "\n",
    "\\\\",
    "&=",
    "x",
    "!",
    "\\text{",
    "**",
    "1/3",
    "?",
];

pub(super) const TARGETS: [Target; 4] = [
    Target { name: "answers", share: 1000, words: LATEX, begin: answers },
    Target { name: "equations", share: 1000, words: SUMS, begin: sums },
    Target { name: "extraction", share: 2000, words: MARKS, begin: extraction },
    Target { name: "steps", share: 2000, words: MARKS, begin: steps },
];

/// A reference, and behind the first line break an answer.
fn answers(_: Scratch) -> Begun {
    let same = JUDGED.lines().filter_map(|line| line.strip_prefix("same\t")?.split_once('\t'));
    let both = same.filter_map(|(_, both)| both.split_once('\t')).filter(|(one, other)| equivalent(one, other));
    let seeds = both.map(|(one, other)| format!("{one}\n{other}"));
    Begun::new(seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
        let same = equivalent(one, other);
        equivalent(other, one);
        assert!(one.trim().is_empty() || equivalent(one, one), "an answer is itself");
        same
    })
}

/// A text with equations.
fn sums(_: Scratch) -> Begun {
    let seeds = [
        "Ann sold 48/2 = <<48/2=24>>24 clips.\nShe has 48 + 24 = $72.50 in all.",
        "So $x = \\frac{1}{2} + \\frac{1}{3} = \\frac{5}{6} \\approx 0.83$.",
        "20% of 50 = 10, 2 1/2 x 4 = 10 hours, 17 / 5 = 3 remainder 2",
        "- 6 * 8\n&= 48\n**2(3 + 4) = 14** 5² ≈ 25",
    ];
    Begun::new(seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let found = equations(&text);
        assert!(found.iter().all(|one| text.get(one.at.clone()).is_some()), "an equation stands in the text");
        let same_holds = |one: &Equation| one.left != one.right || one.truth == Truth::Holds;
        assert!(found.iter().all(same_holds), "what is the same holds");
        found.iter().any(|one| one.truth == Truth::Holds)
    })
}

fn extraction(_: Scratch) -> Begun {
    let seeds = [
        "48 / 2 = 24, so the answer is $24.",
        "It must be (C).",
        "16 - 3 = <<16-3=13>>13\n#### 13",
        "So $x=\\boxed{\\frac{1}{2}}$. Then \\boxed{\\text{(B)}}",
        "Answer: **-1,234.50** dollars",
        "```python\ndef double(x):\n    return 2 * x\n```\nIt doubles 1.",
    ];
    Begun::new(seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let found = [AnswerKind::Math, AnswerKind::Choice, AnswerKind::Code].map(|kind| extract(&text, kind));
        assert!(
            boxed(&text).is_none_or(|inner| matches!(inner, Cow::Owned(_)) || text.contains(&*inner)),
            "a box stands in the text"
        );
        found.iter().take(2).any(Option::is_some)
    })
}

const FORMATS: [Format; 2] = [Format::Xml, Format::Instruct];
const GRANULARITIES: [Granularity; 2] = [Granularity::Plan, Granularity::Step];

fn steps(_: Scratch) -> Begun {
    let worked = Worked {
        plan: vec!["Plan 1: add 3 and 4.".into(), "Plan 2: take 2 away.".into()],
        solution: "3 + 4 = 7.\n7 - 2 = 5.\nThe final answer is \\boxed{5}.".into(),
    };
    let segments =
        FORMATS.map(|format| GRANULARITIES.map(|granularity| Task::built_in(format, granularity).segments(&worked)));
    let seeds: Vec<String> = segments.iter().flatten().flat_map(|all| [all[0].clone(), all.concat()]).collect();
    Begun::new(seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let mut is_read = false;
        for (format, granularity) in FORMATS.into_iter().flat_map(|format| GRANULARITIES.map(|one| (format, one))) {
            let task = Task::built_in(format, granularity);
            for read in [task.read_step(&text), task.read_path(&text)] {
                is_read |= read != StepText::Malformed;
            }
            let end = last_stop(&text, task.step_stops());
            assert!(end.is_none_or(|end| text.is_char_boundary(end)), "a step ends between characters");
        }
        is_read
    })
}
