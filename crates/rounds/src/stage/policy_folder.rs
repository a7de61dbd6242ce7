//! A policy on disk: a Hugging Face folder, and beside it how its prompts are written.

use anyhow::{Context, Result, bail};
use espalier_files::{hash_path, read_json};
use espalier_task::Prompting;
use espalier_tokenizer::Tokenizer;
use std::path::{Path, PathBuf};

/// The file in a policy's folder that holds its value head, or a verifier's heads.
const VALUE_HEAD: &str = "value_head.safetensors";

/// The file in a policy's folder that says how its prompts are written, as a [`Prompting`].
pub(crate) const PROMPTING: &str = "espalier.json";

/// A policy's folder, looked at but not loaded.
#[derive(Clone, Debug)]
pub struct PolicyFolder {
    path: PathBuf,
    prompting: Option<Prompting>,
}

impl PolicyFolder {
    /// Looks at a folder.
    ///
    /// # Errors
    /// What a policy needs and the folder lacks.
    pub fn open(path: &Path) -> Result<PolicyFolder> {
        if !path.is_dir() {
            bail!("{} is not a folder; --policy takes a Hugging Face model folder", path.display());
        }
        for (file, what) in [("config.json", "the model's shape"), ("tokenizer.json", "the tokenizer")] {
            if !path.join(file).is_file() {
                bail!("{} has no {file} ({what}); save the model with its tokenizer there", path.display());
            }
        }
        Ok(PolicyFolder { path: path.to_owned(), prompting: prompting_of(path)? })
    }

    /// How this policy's prompts are written, if it says so.
    pub fn prompting(&self) -> Option<&Prompting> {
        self.prompting.as_ref()
    }

    /// Whether it can value states.
    pub fn has_value_head(&self) -> bool {
        self.path.join(VALUE_HEAD).is_file()
    }

    /// Refuses a folder that cannot value states.
    ///
    /// # Errors
    /// For a policy without a value head.
    pub fn check_value_head(&self) -> Result<()> {
        if !self.has_value_head() {
            bail!(
                "{} has no {VALUE_HEAD}; take a folder of step-train verifier, or a policy with a value head",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Loads the tokenizer alone.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::load(&self.path);
        tokenizer.with_context(|| format!("cannot load the policy {}", self.path.display()))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// How the prompts of the policy in a folder are written, if the folder says so.
pub fn prompting_of(folder: &Path) -> Result<Option<Prompting>> {
    let path = folder.join(PROMPTING);
    if path.exists() { Ok(Some(read_json(&path)?)) } else { Ok(None) }
}

/// The fingerprint of all that decides what a policy says: shape, weights, tokenizer, prompts.
pub fn fingerprint(folder: &Path) -> Result<String> {
    const FILES: [&str; 8] = [
        "added_tokens.json",
        "chat_template.jinja",
        "config.json",
        PROMPTING,
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    let counts = |name: &str| name.ends_with(".safetensors") || FILES.contains(&name);
    Ok(hash_path(folder, counts)?)
}
