//! Output folders: appear by rename, complete when their manifest is there.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// The file whose presence says that a folder is complete.
pub const MANIFEST: &str = "manifest.json";

/// Makes a folder and proves that files can be written there, before any costly work.
pub fn ensure_writable(folder: &Path) -> Result<()> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("cannot create the output folder {shown}"))?;
    tempfile::tempfile_in(folder).map(drop).with_context(|| format!("the output folder {shown} is not writable"))
}

/// Proves that `out` can come into being, without making it: its nearest existing ancestor must take files.
pub fn ensure_creatable(out: &Path) -> Result<()> {
    let ancestor = out.ancestors().find(|at| at.exists()).unwrap_or(Path::new("."));
    let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
    let problem = || format!("the output {} is not writable (at {})", out.display(), ancestor.display());
    if !ancestor.is_dir() {
        bail!("{}: not a folder", problem());
    }
    tempfile::tempfile_in(ancestor).map(drop).with_context(problem)
}

/// Writes a file beside its final name, then renames it.
pub fn write_by_rename(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = parent(path);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let problem = || format!("cannot write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(&folder).with_context(problem)?;
    std::io::Write::write_all(&mut file, bytes).with_context(problem)?;
    set_default_permissions(file.path()).with_context(problem)?;
    file.persist(path).with_context(problem)?;
    Ok(())
}

/// Temporary files are private to the user; what is published is readable as any other file.
fn set_default_permissions(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Writes indented JSON by rename.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).with_context(|| format!("cannot encode {}", path.display()))?;
    text.push('\n');
    write_by_rename(path, text.as_bytes())
}

/// Reads JSON.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what this version writes", path.display()))
}

/// Reads a folder's manifest; `None` when the folder is not complete.
pub fn manifest<T: DeserializeOwned>(folder: &Path) -> Result<Option<T>> {
    let path = folder.join(MANIFEST);
    if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
}

/// Builds a folder under a temporary name and renames it to `out`, so that it is there whole or not at all.
///
/// A folder that is already there is replaced only when `replace` is set.
pub fn publish_folder(out: &Path, replace: bool, build: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if out.exists() && !replace {
        bail!("{} exists already; choose another --out or remove it", out.display());
    }
    let parent = parent(out);
    fs::create_dir_all(&parent).with_context(|| format!("cannot create the folder {}", parent.display()))?;
    let scratch = tempfile::Builder::new()
        .prefix(".part-")
        .tempdir_in(&parent)
        .with_context(|| format!("the folder {} is not writable", parent.display()))?;
    let inner = scratch.path().join("folder");
    fs::create_dir(&inner).with_context(|| format!("cannot create {}", inner.display()))?;
    build(&inner)?;
    if out.exists() {
        fs::rename(out, scratch.path().join("old")).with_context(|| format!("cannot replace {}", out.display()))?;
    }
    fs::rename(&inner, out).with_context(|| format!("cannot publish {}", out.display()))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// SHA-256 of anything that serialises, in hexadecimal: the identity of a configuration or a data set.
pub fn fingerprint(value: &impl Serialize) -> Result<String> {
    let bytes = serde_json::to_vec(value).context("cannot encode a value to fingerprint it")?;
    Ok(hex::encode(Sha256::digest(bytes)))
}

/// A 64-bit seed from named parts, the same on every machine.
pub fn seed_from(parts: &[&dyn std::fmt::Display]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.to_string().as_bytes());
        // A separator that no part ends in, so that ("ab", "c") and ("a", "bc") differ.
        hash.update([0]);
    }
    let digest = hash.finalize();
    let mut seed = [0; 8];
    seed.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_failed_to_build_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("policy");
        let failed = publish_folder(&out, false, |folder| {
            fs::write(folder.join("half"), "x")?;
            bail!("stopped")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_published_folder_is_replaced_only_on_request() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("policy");
        let write = |text: &'static str| move |folder: &Path| Ok(fs::write(folder.join("file"), text)?);
        publish_folder(&out, false, write("one")).unwrap();
        assert!(publish_folder(&out, false, write("two")).is_err());
        publish_folder(&out, true, write("three")).unwrap();
        assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "three");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn seeds_depend_on_where_the_parts_are_cut() {
        assert_ne!(seed_from(&[&"ab", &"c"]), seed_from(&[&"a", &"bc"]));
        assert_eq!(seed_from(&[&1, &"x"]), seed_from(&[&1, &"x"]));
    }
}
