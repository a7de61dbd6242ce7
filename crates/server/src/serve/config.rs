//! What a server is set up with.

use super::error::ServeError;
use espalier_search::SamplingConfig;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Options of a [`Server`](super::Server).
#[derive(Clone)]
pub struct ServeConfig {
    /// Where it listens. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The model's name, as clients see it.
    pub model: String,
    /// What clients have to send as bearer token. Needed where others than this machine reach the address.
    pub api_key: Option<String>,
    /// What the policy samples with where a request says nothing; the temperature is then 1.
    pub sampling: SamplingConfig,
    /// Requests taken in at a time, answered or waiting; beyond, clients are told to come again (503).
    pub max_requests: usize,
    /// Prompts that the policy is given at a time; the others wait in line.
    pub max_prompts: usize,
    /// Searches at a time; the others wait in line.
    pub max_searches: usize,
    /// Largest body of a request.
    pub max_body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_patience: Duration,
    /// Whether SIGTERM and SIGINT stop it: the first lets it finish what it has begun, a second ends that, too.
    pub stops_on_signals: bool,
}

impl ServeConfig {
    /// A server of this machine alone, on a free port, without a key.
    pub fn new(model: impl Into<String>) -> ServeConfig {
        ServeConfig {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            model: model.into(),
            api_key: None,
            sampling: SamplingConfig::default(),
            max_requests: 256,
            max_prompts: 256,
            max_searches: 16,
            max_body_bytes: 16 << 20,
            body_patience: Duration::from_secs(30),
            stops_on_signals: false,
        }
    }

    /// Checks what must not be served.
    ///
    /// # Errors
    /// An address that others reach without a key, a key that is empty, a limit of 0, limits on the distribution out of range.
    pub fn check(&self) -> Result<(), ServeError> {
        self.sampling.check()?;
        let limits = [self.max_requests, self.max_prompts, self.max_searches, self.max_body_bytes];
        if limits.contains(&0) {
            return Err(ServeError::Limit);
        }
        match &self.api_key {
            Some(key) if key.trim().is_empty() => Err(ServeError::EmptyKey),
            None if !self.address.ip().is_loopback() => Err(ServeError::Open { address: self.address }),
            _ => Ok(()),
        }
    }
}

/// The key is not shown.
impl fmt::Debug for ServeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeConfig")
            .field("address", &self.address)
            .field("model", &self.model)
            .field("has_api_key", &self.api_key.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served_without_a_key() {
        let at = |address: &str, key: Option<&str>| {
            let config = ServeConfig {
                address: address.parse().unwrap(),
                api_key: key.map(str::to_owned),
                ..ServeConfig::new("m")
            };
            config.check().map_err(|error| error.to_string())
        };
        for here in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
            assert_eq!(at(here, None), Ok(()));
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:127.0.0.1]:1"] {
            assert!(at(open, None).unwrap_err().contains("--api-key"), "{open}");
            assert_eq!(at(open, Some("k")), Ok(()));
        }
        assert!(at("127.0.0.1:1", Some(" \n")).unwrap_err().contains("empty"));
        let config = ServeConfig { api_key: Some("secret".into()), ..ServeConfig::new("m") };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
