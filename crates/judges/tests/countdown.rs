//! A judge from outside, in Python, against the one that is built in.

use espalier_judges::{Asked, CommandConfig, Countdown, Program, Scorer};
use espalier_task::{Problem, Puzzle};
use std::path::Path;
use std::sync::Arc;

fn end<'a>(problem: &'a Problem, step: &'a str, answer: Option<&'a str>) -> Asked<'a> {
    Asked { problem, steps: &[], step, answer, is_end: true }
}

/// The script that comes with the project, against the judge that is built in.
#[test]
fn countdown_in_twenty_lines_of_python() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/judges/countdown.py");
    let program =
        Program::open(&format!("python3 '{}'", script.display()), &CommandConfig::default(), Arc::new(|_: &str| {}))
            .unwrap();
    let puzzle = Puzzle { numbers: vec![25, 5, 3, 7, 3], target: 67 };
    let problem = Problem { question: puzzle.question(), ..Problem::default() };
    let answers = [
        "(25 - 5) * 3 + 7",
        "7+3*(25-5)",
        "(25 - 5) * 3 + 7 = 67",
        "25 * 3 - 5 - 3",
        "67",
        "60 + 7",
        "(25 - 5) * 3",
        "25 ** 3",
        "",
        "25 + 25 + 7 + 5 + 5",
        "(25 - 5) * 3 + 7 = 68",
        "__import__('os').getpid()",
        "7 / (3 - 3)",
        "9**9**9**9",
        "((((",
        "True",
        "3.0",
        "25 * 3 - 5 - 3 + 0",
    ];
    let asked: Vec<Asked<'_>> = answers.iter().map(|answer| end(&problem, "", Some(answer))).collect();
    let expected: Vec<Option<f32>> = Countdown.score(&asked);
    assert_eq!(program.score(&asked), expected);
    assert_eq!(expected.iter().filter(|score| **score == Some(1.0)).count(), 4);
    let other = Problem { question: "How many?".into(), ..Problem::default() };
    assert_eq!(program.score(&[end(&problem, "", None), end(&other, "", Some("67"))]), [Some(0.0), None]);
    assert_eq!(program.trouble(), None);
}
