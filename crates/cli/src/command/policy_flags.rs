//! Flags that say which policy samples.

use super::number;
use anyhow::{Result, bail};
use clap::Args;
use espalier_rounds::config::ServingConfig;
use espalier_rounds::stage::policy_source::{PolicySource, ServerSource};
use espalier_server::Servers;
use std::path::PathBuf;
use std::time::Duration;

/// A model folder, or servers.
#[derive(Args, Clone, Debug)]
pub struct PolicyFlags {
    /// The policy: a Hugging Face model folder, or http://HOST:PORT[/v1][#MODEL] of servers with OpenAI's completions API
    /// (vLLM, SGLang, llama.cpp), several with commas between; the environment variable OPENAI_API_KEY holds their key
    #[arg(long, value_name = "DIR|URL", required = true)]
    policy: Vec<PathBuf>,
    /// With servers: the folder of their model's tokenizer.json (and chat template, and config.json)
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// With servers: a request that is not answered in this time is sent again [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = number::<f64>)]
    request_timeout: Option<f64>,
}

impl PolicyFlags {
    /// What the flags name.
    ///
    /// # Errors
    /// A folder that is none, an address that is none, or flags that do not go together.
    pub fn source(&self) -> Result<PolicySource> {
        let texts: Vec<&str> = self.policy.iter().filter_map(|policy| policy.to_str()).collect();
        if !texts.iter().any(|text| Servers::is_address(text)) {
            let [folder] = self.policy.as_slice() else { bail!("--policy takes one folder, or any number of servers") };
            if self.tokenizer.is_some() || self.request_timeout.is_some() {
                bail!("--tokenizer and --request-timeout go with servers (--policy http://...), not with a folder");
            }
            return PolicySource::folder(folder);
        }
        let servers = Servers::parse(texts)?;
        let Some(tokenizer) = &self.tokenizer else {
            bail!("--policy names servers: give --tokenizer DIR, the folder of their model's tokenizer.json");
        };
        let seconds = self.request_timeout.unwrap_or(ServingConfig::default().request_timeout_s);
        let Some(timeout) = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero()) else {
            bail!("--request-timeout is {seconds}, but must be above 0");
        };
        ServerSource::new(servers, tokenizer, timeout).map(PolicySource::Servers)
    }
}
