//! From a model's text to right or wrong.

use crate::answer::{AnswerKind, FoundBy, boxed, extract};
use crate::error::TaskError;
use crate::problem::Problem;
use crate::sandbox::{Judged, Sandbox, Verdict};
use crate::task::{AnswerPlace, Task};

/// Finds the answers of texts and judges them, code included.
#[derive(Clone, Debug)]
pub struct Grader {
    sandbox: Option<Sandbox>,
    /// Whether an answer counts only in a box. Code never does.
    boxed_only: bool,
    /// The task, where it says that answers stand somewhere else than in a box.
    task: Option<Task>,
}

/// What a text came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grade {
    /// The answer that was found.
    pub answer: Option<String>,
    /// What gave it away.
    pub found_by: Option<FoundBy>,
    /// Whether it is the reference answer, or passes the tests.
    pub correct: bool,
}

impl Grader {
    /// A grader for these problems; with `boxed_only`, an answer that is not in a box is none.
    ///
    /// # Errors
    /// [`TaskError::Sandbox`] if some of them are code and it cannot be run on this machine.
    pub fn new<'a>(problems: impl IntoIterator<Item = &'a Problem>, boxed_only: bool) -> Result<Grader, TaskError> {
        let has_code = problems.into_iter().any(|problem| problem.kind == AnswerKind::Code);
        Ok(Grader { sandbox: if has_code { Some(Sandbox::open()?) } else { None }, boxed_only, task: None })
    }

    /// The same for answers to a task, which says where they stand; of boxes this grader knows all.
    #[must_use]
    pub fn of_task(self, task: &Task) -> Grader {
        let task = Some(task).filter(|task| !matches!(task.answer(), AnswerPlace::Boxed)).cloned();
        Grader { task, ..self }
    }

    /// Grades one text.
    ///
    /// # Errors
    /// [`TaskError::Sandbox`] for code that this grader was not made for, or if no process can be started;
    /// [`TaskError::Tests`] if a problem's tests cannot be run.
    pub fn grade(&self, problem: &Problem, text: &str) -> Result<Grade, TaskError> {
        let found = match (problem.kind, &self.task) {
            (AnswerKind::Code, _) => extract(text, AnswerKind::Code),
            (_, Some(task)) => task.answer_of(text).map(|answer| (answer, FoundBy::Task)),
            _ if self.boxed_only => boxed(text.rsplit_once("</think>").map_or(text, |(_, said)| said))
                .map(|answer| (answer.trim().to_owned(), FoundBy::Boxed)),
            (kind, None) => extract(text, kind),
        };
        let (answer, found_by) = found.unzip();
        let correct = match (&answer, problem.kind) {
            (None, _) => false,
            (Some(code), AnswerKind::Code) => self.passes(problem, code)?,
            (Some(answer), _) => problem.is_right(answer).unwrap_or(false),
        };
        Ok(Grade { answer, found_by, correct })
    }

    /// Whether the function passes its tests. A body continues the head that was asked about; a whole function follows
    /// the head and replaces it.
    fn passes(&self, problem: &Problem, code: &str) -> Result<bool, TaskError> {
        let no_sandbox = || TaskError::Sandbox { reason: format!("problem {} was not expected", problem.id) };
        let (Some(tests), Some(sandbox)) = (&problem.tests, &self.sandbox) else { return Err(no_sandbox()) };
        let is_whole = code.lines().any(|line| line.starts_with(&format!("def {}(", tests.entry_point)));
        let joint = if is_whole { "\n    pass\n\n" } else { "" };
        let program = format!("{}{joint}{code}\n", problem.question);
        let (entry_point, head, tests) = (&tests.entry_point, &problem.question, &tests.check);
        Ok(sandbox.judge(Judged { program: &program, entry_point, head, tests })? == Verdict::Passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::CodeTests;

    #[test]
    fn boxes_can_be_asked_for() {
        let problem = Problem { id: "1".into(), question: "2 + 3?".into(), answer: "5".into(), ..Problem::default() };
        let strict = Grader::new([&problem], true).unwrap();
        let loose = Grader::new([&problem], false).unwrap();
        let correct = |grader: &Grader, text: &str| grader.grade(&problem, text).unwrap().correct;
        assert!(correct(&strict, r"\boxed{5.0}") && !correct(&strict, r"\boxed{6}") && !correct(&strict, "It is 5."));
        assert!(correct(&loose, "It is 5.") && !correct(&loose, "It is 6.") && !correct(&loose, "none"));
    }

    #[test]
    fn choices_are_letters() {
        let problem = Problem { answer: "B".into(), kind: AnswerKind::Choice, ..Problem::default() };
        let grader = Grader::new([&problem], false).unwrap();
        let correct = |text: &str| grader.grade(&problem, text).unwrap().correct;
        assert!(correct("The answer is (B).") && correct(r"\boxed{\text{B}}") && correct("B. twelve"));
        assert!(!correct("The answer is (C).") && !correct("b") && !correct("12"));
    }

    #[test]
    fn functions_are_tested() {
        let problem = Problem {
            id: "code/1".into(),
            question: "from typing import List\n\n\ndef total(items: List[int]) -> int:\n    \"\"\" Sum them. \"\"\"\n"
                .into(),
            answer: "    return sum(items)\n".into(),
            kind: AnswerKind::Code,
            tests: Some(CodeTests {
                entry_point: "total".into(),
                check: "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n"
                    .into(),
            }),
            ..Problem::default()
        };
        let grader = match Grader::new([&problem], true) {
            Ok(grader) => grader,
            Err(error) if std::env::var_os("ESPALIER_NO_SANDBOX").is_some() => return eprintln!("not tested: {error}"),
            Err(error) => panic!("{error}; set ESPALIER_NO_SANDBOX=1 to go without this test"),
        };
        let correct = |text: &str| grader.grade(&problem, text).unwrap().correct;
        assert!(correct(&problem.answer));
        assert!(correct("    return sum(items)\n\nprint(total([1]))"), "what follows the body is cut");
        assert!(correct("Sure:\n```python\ndef total(items: List[int]) -> int:\n    return sum(items)\n```\n"));
        assert!(!correct("    return len(items)\n"));
        assert!(!correct("    return"));
        assert!(!correct("    import os; os._exit(0)\n"), "an early exit passes no test");
        assert!(!correct(""), "a head alone passes no test");
    }
}
