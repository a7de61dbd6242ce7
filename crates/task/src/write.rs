//! Writing problem sets.

use crate::error::TaskError;
use crate::problem::Problem;
use espalier_files::publish_file;
use std::io::Write;
use std::path::Path;

/// Writes one problem per line, so that [`load_problems`](crate::load_problems) reads back the same. The file appears whole
/// or not at all.
///
/// # Errors
/// [`TaskError::Write`] or [`TaskError::Files`] if the file cannot be written.
pub fn write_jsonl(path: &Path, problems: &[Problem]) -> Result<(), TaskError> {
    let failed = |source| TaskError::Write { path: path.to_owned(), source };
    publish_file(path, |file| {
        for problem in problems {
            serde_json::to_writer(&mut *file, problem).map_err(|error| failed(error.into()))?;
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(())
    })
}
