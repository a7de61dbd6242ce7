//! Which policy samples: a model in this process, one on servers, or one that a run's servers are started for.

use crate::config::RunConfig;
use crate::stage::policy_folder::{PolicyFolder, fingerprint, prompting_of};
use crate::stage::serving::Serving;
use crate::stage::tasks::filled;
use anyhow::{Context, Result, bail};
use espalier_files::read_json;
use espalier_search::{About, Evaluation, Numerics, Policy, Precision};
use espalier_server::{ServerConfig, ServerPolicy, Servers};
use espalier_task::{Prompting, Task};
use espalier_tokenizer::Tokenizer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The environment variable that holds the servers' key, as in OpenAI's own clients.
const API_KEY: &str = "OPENAI_API_KEY";
/// Servers that are not there at the start are waited for so long at most.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How servers are reached: with the environment's key, if there is one.
pub(crate) fn connection() -> ServerConfig {
    ServerConfig {
        start_patience: START_PATIENCE,
        api_key: std::env::var(API_KEY).ok().filter(|key| !key.trim().is_empty()),
        ..ServerConfig::default()
    }
}

/// A policy to sample from, looked at but not opened.
#[derive(Clone, Debug)]
pub enum PolicySource {
    /// A model folder.
    Folder(PolicyFolder),
    /// Servers, and the folder of their tokenizer.
    Servers(ServerSource),
    /// A model folder that a command serves.
    Served(PolicyFolder, ServerSource),
}

/// A policy that can be asked. Servers of a run start when it is asked first: what is done already needs none.
pub struct Opened<'a> {
    about: About,
    policy: Option<Box<dyn Policy>>,
    /// After the policy, which ends its requests first.
    serving: Option<Serving>,
    start: Option<Box<Start<'a>>>,
}

type Start<'a> = dyn FnOnce() -> Result<(Box<dyn Policy>, Serving)> + 'a;

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

    /// Where the tokenizer lies.
    pub(super) fn tokenizer_folder(&self) -> &Path {
        &self.tokenizer
    }

    pub(super) fn open(&self, config: &RunConfig, notice: fn(&str)) -> Result<ServerPolicy> {
        if config.sampling.precision != Precision::Float32 {
            bail!(
                "sampling.precision is for models in this process; what servers compute in is set where they are started"
            );
        }
        if config.sampling.numerics != Numerics::Auto {
            bail!("sampling.numerics is for models in this process; a server promises what it promises")
        }
        let tokenizer = self.tokenizer()?;
        let settings = ServerConfig {
            sampling: config.sampling.clone(),
            max_context_tokens: self.context()?,
            max_requests: config.runtime.max_rows,
            timeout: self.timeout,
            start_patience: START_PATIENCE.min(self.timeout),
            ..connection()
        };
        ServerPolicy::open(&self.servers, tokenizer, settings, notice).context("cannot sample from the servers")
    }
}

impl Opened<'_> {
    fn now(policy: Box<dyn Policy>) -> Self {
        Opened { about: policy.about(), policy: Some(policy), serving: None, start: None }
    }

    /// What the policy says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The policy, for which servers are started if need be.
    ///
    /// # Errors
    /// Servers that do not start, or cannot be used.
    pub fn policy(&mut self) -> Result<&mut (dyn Policy + 'static)> {
        if let Some(start) = self.start.take() {
            let (policy, serving) = start()?;
            (self.policy, self.serving) = (Some(policy), Some(serving));
        }
        self.policy.as_deref_mut().context("the servers of this policy did not start")
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

    /// A policy of a run: on the run's servers where it has some.
    ///
    /// # Errors
    /// What a policy needs and the folder lacks, and settings of servers that do not go together.
    pub fn of_run(path: &Path, config: &RunConfig) -> Result<PolicySource> {
        let folder = PolicyFolder::open(path)?;
        let Some(servers) = servers_of_run(config)? else { return Ok(PolicySource::Folder(folder)) };
        Ok(PolicySource::Served(folder, ServerSource::new(servers, path, config.serving.request_timeout())?))
    }

    /// How this policy's prompts are written, if it says so.
    pub fn prompting(&self) -> Option<&Prompting> {
        match self {
            PolicySource::Folder(folder) | PolicySource::Served(folder, _) => folder.prompting(),
            PolicySource::Servers(servers) => servers.prompting.as_ref(),
        }
    }

    /// The task that this policy is asked in, filled and in its words.
    ///
    /// # Errors
    /// As [`RunConfig::task_of`] and [`filled`].
    pub fn task(&self, config: &RunConfig) -> Result<Task> {
        filled(&config.task_of(self.prompting())?, config, || self.tokenizer())
    }

    /// Opens the policy; `notice` is told in one line each what happens to servers.
    ///
    /// # Errors
    /// A folder that cannot be loaded, servers that cannot be used, or settings that do not go with the policy.
    pub fn open<'a>(&'a self, config: &'a RunConfig, notice: fn(&str)) -> Result<Opened<'a>> {
        Ok(match self {
            #[cfg(feature = "local")]
            PolicySource::Folder(folder) => Opened::now(Box::new(folder.open_policy(config)?)),
            #[cfg(not(feature = "local"))]
            PolicySource::Folder(folder) => bail!(
                "{} is a model folder, but this program was built without LibTorch; give --policy http://... of servers, or \
                 build with the feature `local`",
                folder.path().display()
            ),
            PolicySource::Servers(servers) => Opened::now(Box::new(servers.open(config, notice)?)),
            PolicySource::Served(folder, servers) => {
                let weights = fingerprint(folder.path())?;
                let about =
                    About { policy_hash: espalier_files::fingerprint(&["served", &weights])?, ..About::default() };
                let start = move || -> Result<(Box<dyn Policy>, Serving)> {
                    let patience = Duration::try_from_secs_f64(config.serving.patience_s).unwrap_or(Duration::MAX);
                    let serving = Serving::start(&config.serving.command, folder.path(), &servers.servers, patience)?;
                    Ok((Box::new(servers.open(config, notice)?), serving))
                };
                Opened { about, policy: None, serving: None, start: Some(Box::new(start)) }
            }
        })
    }

    /// The policy's tokenizer.
    ///
    /// # Errors
    /// What the folder lacks.
    pub fn tokenizer(&self) -> Result<Arc<Tokenizer>> {
        let tokenizer = match self {
            PolicySource::Folder(folder) | PolicySource::Served(folder, _) => folder.tokenizer(),
            PolicySource::Servers(servers) => servers.tokenizer(),
        };
        tokenizer.map(Arc::new)
    }

    /// Refuses a model of values that reads other tokens than this policy writes.
    ///
    /// # Errors
    /// For another tokenizer, and for one that cannot be loaded.
    pub(super) fn check_tokens_of(&self, model: &PolicyFolder) -> Result<()> {
        if model.tokenizer()?.fingerprint() != self.tokenizer()?.fingerprint() {
            bail!(
                "{} has another tokenizer than the policy, whose own tokens it is to read; take a model that was made of trees that \
                 this policy, or one with its tokenizer, has searched",
                model.path().display()
            );
        }
        Ok(())
    }

    /// A name for it: the folder's, or that of the servers' tokenizer.
    pub fn name(&self) -> String {
        let path = match self {
            PolicySource::Folder(folder) | PolicySource::Served(folder, _) => folder.path(),
            PolicySource::Servers(servers) => &servers.tokenizer,
        };
        let whole = path.canonicalize();
        let name = whole.as_deref().unwrap_or(path).file_name();
        name.map_or_else(|| "policy".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Refuses a value head that the user asked for and that servers do not have.
    ///
    /// # Errors
    /// For a value head with servers.
    pub fn check_evaluation(&self, asked: Option<&str>) -> Result<()> {
        if asked == Some("value_head") && matches!(self, PolicySource::Servers(_)) {
            bail!(
                "--evaluation value_head needs a model folder: servers have no value head; take rollouts:N, zero, or values from elsewhere (folder:DIR ..)"
            );
        }
        Ok(())
    }
}

/// The servers that sample a run's policies, if it has some.
///
/// # Errors
/// Settings of servers that do not go together.
pub fn servers_of_run(config: &RunConfig) -> Result<Option<Servers>> {
    let serving = &config.serving;
    if serving.urls.is_empty() {
        return Ok(None);
    }
    if serving.command.trim().is_empty() {
        bail!("serving.urls names servers, but serving.command does not say how a policy is served there");
    }
    if config.search.evaluation == Evaluation::ValueHead {
        bail!(
            "search.evaluation is value_head, which the servers of serving.urls do not have; take rollouts:N or zero"
        );
    }
    Servers::parse(serving.urls.iter().map(String::as_str)).context("serving.urls").map(Some)
}
