//! Which policy samples: a model in this process, or one on servers.

use crate::config::RunConfig;
use crate::stage::policy_folder::{PolicyFolder, prompting_of};
use anyhow::{Context, Result, bail};
use espalier_files::read_json;
use espalier_search::{Policy, Precision};
use espalier_server::{ServerConfig, ServerPolicy, Servers};
use espalier_task::Prompting;
use espalier_tokenizer::Tokenizer;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment variable that holds the servers' key, as in OpenAI's own clients.
const API_KEY: &str = "OPENAI_API_KEY";
/// Servers that are not there at the start are waited for so long at most.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A policy to sample from, looked at but not opened.
#[derive(Clone, Debug)]
pub enum PolicySource {
    /// A model folder.
    Folder(PolicyFolder),
    /// Servers, and the folder of their tokenizer.
    Servers(ServerSource),
}

/// A model on servers, whose tokenizer was looked at.
#[derive(Clone, Debug)]
pub struct ServerSource {
    servers: Servers,
    tokenizer: PathBuf,
    prompting: Option<Prompting>,
    timeout: Duration,
}

impl ServerSource {
    /// Looks at the folder of the tokenizer.
    ///
    /// # Errors
    /// What it lacks.
    pub fn new(servers: Servers, tokenizer: &Path, timeout: Duration) -> Result<ServerSource> {
        if !tokenizer.join("tokenizer.json").is_file() {
            bail!(
                "{} has no tokenizer.json; --tokenizer takes the folder of the servers' tokenizer",
                tokenizer.display()
            );
        }
        let prompting = prompting_of(tokenizer)?;
        Ok(ServerSource { servers, tokenizer: tokenizer.to_owned(), prompting, timeout })
    }

    fn tokenizer(&self) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::load(&self.tokenizer);
        tokenizer.with_context(|| format!("cannot load the tokenizer {}", self.tokenizer.display()))
    }

    /// The context that the folder's `config.json` names, if there is one.
    fn context(&self) -> Result<Option<usize>> {
        let path = self.tokenizer.join("config.json");
        if !path.exists() {
            return Ok(None);
        }
        let fields: serde_json::Value = read_json(&path)?;
        Ok(fields["max_position_embeddings"].as_u64().map(|tokens| tokens as usize))
    }

    fn open(&self, config: &RunConfig, notice: fn(&str)) -> Result<ServerPolicy> {
        if config.sampling.precision != Precision::Float32 {
            bail!(
                "sampling.precision is for models in this process; what servers compute in is set where they are started"
            );
        }
        let tokenizer = self.tokenizer()?;
        let settings = ServerConfig {
            sampling: config.sampling.clone(),
            max_context_tokens: self.context()?,
            max_requests: config.runtime.max_rows,
            timeout: self.timeout,
            start_patience: START_PATIENCE.min(self.timeout),
            api_key: std::env::var(API_KEY).ok().filter(|key| !key.trim().is_empty()),
            ..ServerConfig::default()
        };
        ServerPolicy::open(&self.servers, tokenizer, settings, notice).context("cannot sample from the servers")
    }
}

impl PolicySource {
    /// A model folder.
    ///
    /// # Errors
    /// What a policy needs and the folder lacks.
    pub fn folder(path: &Path) -> Result<PolicySource> {
        PolicyFolder::open(path).map(PolicySource::Folder)
    }

    /// How this policy's prompts are written, if it says so.
    pub fn prompting(&self) -> Option<Prompting> {
        match self {
            PolicySource::Folder(folder) => folder.prompting(),
            PolicySource::Servers(servers) => servers.prompting,
        }
    }

    /// Opens the policy; `notice` is told in one line each what happens to servers.
    ///
    /// # Errors
    /// A folder that cannot be loaded, servers that cannot be used, or settings that do not go with the policy.
    pub fn open(&self, config: &RunConfig, notice: fn(&str)) -> Result<Box<dyn Policy>> {
        Ok(match self {
            #[cfg(feature = "local")]
            PolicySource::Folder(folder) => Box::new(folder.open_policy(config)?),
            #[cfg(not(feature = "local"))]
            PolicySource::Folder(folder) => bail!(
                "{} is a model folder, but this program was built without LibTorch; give --policy http://... of servers, or \
                 build with the feature `local`",
                folder.path().display()
            ),
            PolicySource::Servers(servers) => Box::new(servers.open(config, notice)?),
        })
    }

    /// The policy's tokenizer.
    ///
    /// # Errors
    /// What the folder lacks.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match self {
            PolicySource::Folder(folder) => folder.tokenizer(),
            PolicySource::Servers(servers) => servers.tokenizer(),
        }
    }

    /// Refuses a value head that the user asked for and that servers do not have.
    ///
    /// # Errors
    /// For a value head with servers.
    pub fn check_evaluation(&self, asked: Option<&str>) -> Result<()> {
        if asked == Some("value_head") && matches!(self, PolicySource::Servers(_)) {
            bail!("--evaluation value_head needs a model folder: servers have no value head; take rollouts:N or zero");
        }
        Ok(())
    }
}
