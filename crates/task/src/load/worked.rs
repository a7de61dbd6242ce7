//! Worked problems to be shown: questions with solutions, whose answers nobody asks for.

use super::row::{ANSWER, Row};
use crate::error::TaskError;
use crate::problem::Worked;
use serde_json::Value;
use std::path::Path;

/// The questions and worked solutions of a file's first `limit` rows. The solution is in `solution`, as a text or as an
/// object of `plan` and `solution`, or it is the working before the answer, as GSM8K has it; a `plan` may stand beside it.
pub(crate) fn read_worked(path: &Path, limit: Option<usize>) -> Result<Vec<(String, Worked)>, TaskError> {
    let (rows, _) = super::rows(path, limit.unwrap_or(usize::MAX), &["plan".to_owned()])?;
    if rows.is_empty() {
        return Err(TaskError::Empty { path: path.to_owned() });
    }
    let read = |row: &Row| {
        let failed = |reason| TaskError::Row { path: path.to_owned(), place: row.place(), reason };
        let question = row.question().map_err(failed)?;
        Ok((question, worked(row).map_err(failed)?))
    };
    rows.iter().map(read).collect()
}

fn worked(row: &Row) -> Result<Worked, String> {
    let working = row.first(&ANSWER).and_then(|(_, value)| value.as_str());
    let solution = match row.get("solution") {
        Some(Value::Object(_)) => return row.typed("solution").ok_or("`solution` is no plan and solution".to_owned()),
        Some(Value::String(text)) => text.as_str(),
        Some(_) | None => working.ok_or("no worked solution; name its field `solution`")?,
    };
    Ok(Worked { plan: row.typed("plan").unwrap_or_default(), solution: solution.trim().to_owned() })
}
