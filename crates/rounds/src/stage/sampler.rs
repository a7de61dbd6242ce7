//! Who samples: a model in this process, or servers.

use crate::config::RunConfig;
use crate::stage::policy_folder::{PolicyFolder, prompting_of};
use anyhow::{Context, Result, bail};
use espalier_files::read_json;
use espalier_model::{Precision, Tokenizer};
use espalier_policy::{ModelPolicy, PolicyStats, RemoteConfig, RemotePolicy, RemoteStats, Servers};
use espalier_search::{Expansion, Policy, PolicyError, StepRequest};
use espalier_task::{Format, Granularity, Prompting};
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
    Servers(ServerPolicy),
}

/// A model on servers.
#[derive(Clone, Debug)]
pub struct ServerPolicy {
    servers: Servers,
    tokenizer: PathBuf,
    prompting: Option<Prompting>,
    timeout: Duration,
}

impl ServerPolicy {
    /// Looks at the folder of the tokenizer.
    ///
    /// # Errors
    /// What it lacks.
    pub fn new(servers: Servers, tokenizer: &Path, timeout: Duration) -> Result<ServerPolicy> {
        if !tokenizer.join("tokenizer.json").is_file() {
            bail!(
                "{} has no tokenizer.json; --tokenizer takes the folder of the servers' tokenizer",
                tokenizer.display()
            );
        }
        let prompting = prompting_of(tokenizer)?;
        Ok(ServerPolicy { servers, tokenizer: tokenizer.to_owned(), prompting, timeout })
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

    fn open(&self, config: &RunConfig, step_stops: Vec<String>, path_stops: Vec<String>) -> Result<RemotePolicy> {
        if config.sampling.precision != Precision::Float32 {
            bail!(
                "sampling.precision is for models in this process; what servers compute in is set where they are started"
            );
        }
        let tokenizer = Tokenizer::load(&self.tokenizer);
        let tokenizer = tokenizer.with_context(|| format!("cannot load the tokenizer {}", self.tokenizer.display()))?;
        let settings = RemoteConfig {
            sampling: config.sampling.clone(),
            step_stops,
            path_stops,
            max_context_tokens: self.context()?,
            max_requests: config.runtime.max_rows,
            timeout: self.timeout,
            start_patience: START_PATIENCE.min(self.timeout),
            api_key: std::env::var(API_KEY).ok().filter(|key| !key.trim().is_empty()),
            ..RemoteConfig::default()
        };
        RemotePolicy::open(&self.servers, tokenizer, settings, |line| eprintln!("{line}"))
            .context("cannot sample from the servers")
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

    /// Opens it for sampling steps.
    pub fn sampler(&self, config: &RunConfig, format: Format, granularity: Granularity) -> Result<Sampler> {
        self.sampler_until(config, format.step_stops(granularity), format.path_stops(granularity))
    }

    /// Opens it for sampling to these stop strings.
    pub fn sampler_until(
        &self,
        config: &RunConfig,
        step_stops: Vec<String>,
        path_stops: Vec<String>,
    ) -> Result<Sampler> {
        Ok(match self {
            PolicySource::Folder(folder) => {
                Sampler::Model(Box::new(folder.sampler_until(config, step_stops, path_stops)?))
            }
            PolicySource::Servers(servers) => Sampler::Remote(Box::new(servers.open(config, step_stops, path_stops)?)),
        })
    }
}

/// An open policy.
pub enum Sampler {
    /// A model in this process.
    Model(Box<ModelPolicy>),
    /// A model on servers.
    Remote(Box<RemotePolicy>),
}

impl Sampler {
    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        match self {
            Sampler::Model(policy) => policy.tokenizer(),
            Sampler::Remote(policy) => policy.tokenizer(),
        }
    }

    /// Longest prefix and continuation together, in tokens, where that is known.
    pub fn max_context_tokens(&self) -> Option<usize> {
        match self {
            Sampler::Model(policy) => Some(policy.max_context_tokens()),
            Sampler::Remote(policy) => policy.max_context_tokens(),
        }
    }

    /// Whether it can say what a state is worth.
    pub fn has_value_head(&self) -> bool {
        match self {
            Sampler::Model(policy) => policy.model().value_head().is_some(),
            Sampler::Remote(_) => false,
        }
    }

    /// What names the policy in the rows that it samples.
    pub fn policy_hash(&self) -> String {
        match self {
            Sampler::Model(policy) => policy.policy_hash(),
            Sampler::Remote(policy) => policy.policy_hash(),
        }
    }

    /// Counters of this process. What a server computed is not known.
    pub fn stats(&self) -> PolicyStats {
        match self {
            Sampler::Model(policy) => policy.stats(),
            Sampler::Remote(policy) => {
                PolicyStats { tokens_sampled: policy.stats().tokens_sampled, ..PolicyStats::default() }
            }
        }
    }

    /// Counters of the requests to servers.
    pub fn server_stats(&self) -> Option<RemoteStats> {
        match self {
            Sampler::Model(_) => None,
            Sampler::Remote(policy) => Some(policy.stats()),
        }
    }
}

impl Policy for Sampler {
    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        match self {
            Sampler::Model(policy) => policy.tokenize(prompt),
            Sampler::Remote(policy) => policy.tokenize(prompt),
        }
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        match self {
            Sampler::Model(policy) => policy.submit(request),
            Sampler::Remote(policy) => policy.submit(request),
        }
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        match self {
            Sampler::Model(policy) => policy.poll(),
            Sampler::Remote(policy) => policy.poll(),
        }
    }

    fn forget(&mut self, tree: u64) {
        match self {
            Sampler::Model(policy) => policy.forget(tree),
            Sampler::Remote(policy) => policy.forget(tree),
        }
    }

    fn reclaim(&mut self, answer: Expansion) {
        match self {
            Sampler::Model(policy) => policy.reclaim(answer),
            Sampler::Remote(policy) => policy.reclaim(answer),
        }
    }
}
