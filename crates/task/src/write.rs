//! Writing problem sets.

use crate::error::TaskError;
use crate::problem::Problem;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes one problem per line, so that [`load_problems`](crate::load_problems) reads back the same. The file appears by
/// rename once it is complete.
///
/// # Errors
/// [`TaskError::Write`] if the folder does not exist or the file cannot be written.
pub fn write_jsonl(path: &Path, problems: &[Problem]) -> Result<(), TaskError> {
    let failed = |source| TaskError::Write { path: path.to_owned(), source };
    // An empty parent is the current folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(folder).map_err(failed)?);
    for problem in problems {
        serde_json::to_writer(&mut file, problem).map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)?;
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
