//! What a policy on servers is set up with.

use espalier_files::unit_interval;
use espalier_search::SamplingConfig;
use espalier_settings::OutOfRange;
use espalier_settings::range::{above, at_least};
use std::fmt;
use std::time::Duration;

/// Options of a [`ServerPolicy`](crate::ServerPolicy). Only sampling and context decide results.
#[derive(Clone)]
pub struct ServerConfig {
    /// Limits on the sampled distribution; the temperature comes with each request.
    pub sampling: SamplingConfig,
    /// Longest prefix and continuation together, in tokens; `None` takes what the servers say, and no limit where they
    /// say nothing.
    pub max_context_tokens: Option<usize>,
    /// Requests at the same time, over all servers. One samples one candidate.
    pub max_requests: usize,
    /// After so long a request counts as failed.
    pub timeout: Duration,
    /// So long may all servers be away at the start; later they are waited for without end.
    pub start_patience: Duration,
    /// How long a server that failed is left alone.
    pub backoff: Backoff,
    /// Sent as bearer token.
    pub api_key: Option<String>,
}

/// The key is not shown.
impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("sampling", &self.sampling)
            .field("max_requests", &self.max_requests)
            .field("timeout", &self.timeout)
            .field("has_api_key", &self.api_key.is_some())
            .finish_non_exhaustive()
    }
}

/// Exponential backoff: `first`, twice that, and so on up to `longest`; each is multiplied by a random factor between 1/2
/// and 1, so that many clients do not come back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most, unless the server itself asks for longer (`Retry-After`, of which at most five minutes are kept).
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row, of which there is at least one. `random` is uniform over all values.
    pub(crate) fn pause(self, failures: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let jitter = 0.5 + 0.5 * unit_interval(random);
        doubled.min(self.longest).mul_f64(jitter)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            sampling: SamplingConfig::default(),
            max_context_tokens: None,
            max_requests: 96,
            timeout: Duration::from_secs(600),
            start_patience: Duration::from_secs(60),
            backoff: Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(30) },
            api_key: None,
        }
    }
}

impl ServerConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first value out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        self.sampling.check()?;
        at_least(1).check("max_requests", &self.max_requests)?;
        at_least(1).check("max_context_tokens", &self.max_context_tokens)?;
        above(0).check("timeout", &self.timeout.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        let most: Vec<u128> = (1..7).map(|failures| backoff.pause(failures, u64::MAX).as_millis()).collect();
        assert!(most.iter().zip([100, 200, 400, 800, 1000, 1000]).all(|(&pause, end)| pause.abs_diff(end) <= 1));
        assert_eq!(backoff.pause(3, 0), Duration::from_millis(200));
        assert_eq!(backoff.pause(u32::MAX, 0), Duration::from_millis(500));
    }

    #[test]
    fn the_value_out_of_range_is_named() {
        assert!(ServerConfig::default().check().is_ok());
        let sampling = SamplingConfig { top_p: 0.0, ..SamplingConfig::default() };
        let bad = [
            (ServerConfig { sampling, ..ServerConfig::default() }, "top_p is 0"),
            (ServerConfig { max_requests: 0, ..ServerConfig::default() }, "max_requests is 0"),
            (ServerConfig { timeout: Duration::ZERO, ..ServerConfig::default() }, "timeout is 0, but must be above 0"),
        ];
        for (config, words) in bad {
            assert!(config.check().unwrap_err().to_string().starts_with(words));
        }
        let config = ServerConfig { api_key: Some("secret".into()), ..ServerConfig::default() };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
