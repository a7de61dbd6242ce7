//! Functions to complete.

use super::words::question;
use crate::answer::AnswerKind;
use crate::load::row::{Row, type_name};
use crate::problem::{CodeTests, Problem};
use serde_json::Value;

/// `{"task_id": "HumanEval/0", "prompt", "entry_point", "canonical_solution", "test"}`. The question is the head of the
/// function, white space and all; the reference is the publisher's body.
pub(in crate::load) fn humaneval(row: &Row) -> Result<Problem, String> {
    let raw = |name: &str| match row.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("`{name}` is {}; it should be text", type_name(other))),
        None => Err(format!("no `{name}`")),
    };
    let tests = CodeTests { entry_point: row.text("entry_point")?.to_owned(), check: raw("test")? };
    let problem = question(row.text("task_id")?.to_owned(), row.text("prompt")?, row.text("canonical_solution")?)?;
    Ok(Problem {
        question: raw("prompt")?,
        answer: raw("canonical_solution")?,
        kind: AnswerKind::Code,
        tests: Some(tests),
        ..problem
    })
}
