//! Files that appear whole or not at all.

use crate::ModelError;
use std::io::{BufWriter, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Writes a file beside its path under a hidden name, then renames it over what may be there.
pub(crate) fn publish(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<NamedTempFile>) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".unpublished-");
    // Temporary files are for their owner's eyes; published ones are as open as the user's mask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = BufWriter::new(builder.tempfile_in(folder).map_err(ModelError::write(path))?);
    write(&mut file)?;
    let file = file.into_inner().map_err(|error| ModelError::write(path)(error.into_error()))?;
    // A name must never survive a power failure that its bytes do not.
    file.as_file().sync_all().map_err(ModelError::write(path))?;
    file.persist(path).map_err(|error| ModelError::write(path)(error.error))?;
    Ok(())
}

/// [`publish`] for bytes that are there already.
pub(crate) fn publish_bytes(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    publish(path, |file| file.write_all(bytes).map_err(ModelError::write(path)))
}

/// [`publish`] for a JSON document, indented, with a line break at its end.
pub(crate) fn publish_json(path: &Path, value: &serde_json::Value) -> Result<(), ModelError> {
    publish_bytes(path, format!("{value:#}\n").as_bytes())
}
