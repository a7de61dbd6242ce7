//! Whether servers are there at all.

use crate::address::Servers;
use crate::call::{Caller, Failure};
use crate::config::ServerConfig;
use std::time::Duration;

/// A server that says nothing in this time is not there.
const TIMEOUT: Duration = Duration::from_secs(2);

impl Servers {
    /// The address of the first server that answers, if one does. A gateway that has no server behind it (5xx) is none.
    pub fn reachable(&self) -> Option<&str> {
        let caller = Caller::new(&ServerConfig { timeout: TIMEOUT, ..ServerConfig::default() }).ok()?;
        let answers = |url: &&String| match caller.get(&format!("{url}/models")) {
            Ok(_) | Err(Failure::Fatal(_) | Failure::Refused(_) | Failure::TooLong(_) | Failure::Unusable(_)) => true,
            Err(Failure::Passing { .. }) => false,
        };
        self.urls.iter().find(answers).map(String::as_str)
    }
}
