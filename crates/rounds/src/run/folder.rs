//! Where things lie in a run's folder.
//!
//! ```text
//! <run>/config.toml   problems/*.jsonl   policy-000/   round-000/{trees,pairs,train,eval.json,manifest.json}   report.html
//! ```
//! Round r starts from `policy-r` and makes `policy-(r+1)`; round 0 is the supervised warm start.

use crate::config::RunConfig;
use crate::contract::MANIFEST;
use crate::run::manifest::RoundManifest;
use anyhow::{Context, Result, bail};
use espalier_files::read_json;
use std::path::{Path, PathBuf};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// The folder of a run that `init` made.
    ///
    /// # Errors
    /// When there is no `config.toml` in it.
    pub fn open(root: &Path) -> Result<RunFolder> {
        let folder = RunFolder { root: root.to_owned() };
        if !folder.config_path().is_file() {
            bail!("{} is not a run (no config.toml); make one with step-train init", root.display());
        }
        Ok(folder)
    }

    /// The run's configuration.
    pub fn config(&self) -> Result<RunConfig> {
        let path = self.config_path();
        let config = RunConfig::default().with_file(&path)?;
        config.check().with_context(|| format!("bad configuration in {}", path.display()))?;
        Ok(config)
    }

    /// The manifests of the finished rounds, in order.
    pub fn finished(&self) -> Result<Vec<RoundManifest>> {
        (0..)
            .map(|round| self.round(round).join(MANIFEST))
            .take_while(|path| path.exists())
            .map(|path| Ok(read_json(&path)?))
            .collect()
    }

    /// The run's own folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `config.toml`.
    pub fn config_path(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The policy that round `round` starts from.
    pub fn policy(&self, round: u32) -> PathBuf {
        self.root.join(format!("policy-{round:03}"))
    }

    /// What round `round` writes.
    pub fn round(&self, round: u32) -> PathBuf {
        self.root.join(format!("round-{round:03}"))
    }

    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }
}
