//! BIG-bench Hard.

use super::words::question;
use crate::answer::AnswerKind;
use crate::error::TaskError;
use crate::load::json;
use crate::load::row::Row;
use crate::problem::Problem;
use serde_json::Value;
use std::path::Path;

/// The rows of `{"canary", "examples": [{"input", "target"}]}`.
pub(in crate::load) fn rows(path: &Path, limit: usize) -> Result<Vec<Row>, TaskError> {
    let rows = json::read_value(path, 1)?;
    let examples = rows.into_iter().next().and_then(|mut row| row.fields.remove("examples"));
    let Some(Value::Array(examples)) = examples else {
        let reason = "no `examples`, a list of inputs and targets".to_owned();
        return Err(TaskError::Row { path: path.to_owned(), place: "the file".to_owned(), reason });
    };
    let examples = examples.into_iter().take(limit).enumerate();
    examples.map(|(index, example)| crate::load::row(path, "example", index + 1, example)).collect()
}

/// The family is the task, which the file is named by. A target such as `(B)` is a choice; the input has its options.
pub(in crate::load) fn bbh(row: &Row, stem: &str) -> Result<Problem, String> {
    let target = row.text("target")?;
    let letter = target.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let letter = letter.filter(|letter| matches!(letter.as_bytes(), [b'A'..=b'Z']));
    let kind = if letter.is_some() { AnswerKind::Choice } else { AnswerKind::Math };
    let problem = question(row.id(stem)?, row.text("input")?, letter.unwrap_or(target))?;
    Ok(Problem { kind, family: Some(stem.to_owned()), ..problem })
}
