//! What every stage promises about its output.

use anyhow::Result;
use serde::de::DeserializeOwned;
use std::path::Path;

/// The file whose presence says that a folder is complete.
pub const MANIFEST: &str = "manifest.json";

/// Reads a folder's manifest; `None` when the folder is not complete.
pub fn manifest<T: DeserializeOwned>(folder: &Path) -> Result<Option<T>> {
    let path = folder.join(MANIFEST);
    if path.exists() { Ok(Some(espalier_files::read_json(&path)?)) } else { Ok(None) }
}
