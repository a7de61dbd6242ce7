//! `tests`: a program passes its tests, in the sandbox.

use super::verdict;
use crate::scorer::{Asked, Scope, Scorer};
use espalier_task::{AnswerKind, Grader, Problem, TaskError};
use std::sync::{Mutex, PoisonError};

/// Whether the program at the end of a path passes the problem's tests. They run in a process of their own that the program can
/// neither read nor signal, so that nothing that it prints or finds says that it passed. Nothing is said of problems without
/// tests, or where they cannot be run.
#[derive(Debug)]
pub struct Tests {
    grader: Grader,
    trouble: Mutex<Option<String>>,
}

impl Tests {
    /// Tries the sandbox.
    ///
    /// # Errors
    /// [`TaskError::Sandbox`] if programs cannot be run on this machine.
    pub fn open() -> Result<Tests, TaskError> {
        let some_code = Problem { kind: AnswerKind::Code, ..Problem::default() };
        Ok(Tests { grader: Grader::new([&some_code], true)?, trouble: Mutex::default() })
    }

    fn passes(&self, asked: &Asked<'_>) -> Option<bool> {
        if !asked.is_end || asked.problem.kind != AnswerKind::Code || asked.problem.tests.is_none() {
            return None;
        }
        match self.grader.grade(asked.problem, asked.answer.unwrap_or(asked.step)) {
            Ok(grade) => Some(grade.correct),
            Err(error) => {
                let line = format!("problem {}: {error}", asked.problem.id);
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
                None
            }
        }
    }
}

impl Scorer for Tests {
    fn scope(&self) -> Scope {
        Scope::Path
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        asked.iter().map(|one| self.passes(one).map(verdict)).collect()
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};
    use espalier_task::CodeTests;

    fn problem(check: &str) -> Problem {
        let tests = CodeTests { entry_point: "add".into(), check: check.into() };
        let question = "def add(a, b):\n    \"\"\" Add. \"\"\"\n".into();
        Problem { question, kind: AnswerKind::Code, tests: Some(tests), ..math("    return a + b\n") }
    }

    #[test]
    fn programs_are_tested_and_cannot_say_themselves_that_they_pass() {
        let judge = match Tests::open() {
            Ok(judge) => judge,
            Err(error) if std::env::var_os("ESPALIER_NO_SANDBOX").is_some() => return eprintln!("not tested: {error}"),
            Err(error) => panic!("{error}; set ESPALIER_NO_SANDBOX=1 to go without this test"),
        };
        let add = problem("def check(c):\n    assert c(1, 2) == 3\n    assert c(5, 5) == 10\n");
        let score = |body: &str| judge.score(&[end(&add, body, None)])[0];
        assert_eq!(score("    return a + b\n"), Some(1.0));
        assert_eq!(score("    return a - b\n"), Some(0.0));
        // The hole of a sandbox whose verdict stood in the program's own module: every constant of every frame, printed.
        let reader = "    import sys, os\n    f = sys._getframe()\n    while f is not None:\n        for c in f.f_code.co_consts: print(c, flush=True)\n        f = f.f_back\n    os._exit(0)\n";
        assert_eq!(score(reader), Some(0.0));
        assert_eq!(judge.score(&[end(&math("3"), "    return 3\n", None)]), [None], "no program");
        assert_eq!(judge.trouble(), None);
        assert_eq!(judge.score(&[end(&problem("def check(c"), "    return 3\n", None)]), [None], "no tests that run");
        assert!(judge.trouble().unwrap().contains("SyntaxError"));
    }
}
