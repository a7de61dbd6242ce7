//! Table `serving`: servers that sample the policies of a run.

use espalier_settings::range::above;
use espalier_settings::settings;
use std::time::Duration;

settings! {
    /// Servers that a run's rounds and an experiment's runs search and evaluate with, while this process trains. They are
    /// started for each policy by a command of yours and ended when it has answered.
    pub struct ServingConfig {
        /// Addresses of the servers, as `--policy` takes them; none samples in this process.
        pub urls: Vec<String> = Vec::new();
        /// Shell command that serves the model folder $POLICY at these addresses until it is ended; with several, of all.
        pub command: String = String::new();
        /// Seconds that servers have to load a policy.
        pub patience_s: f64 = 900.0, above(0);
        /// Seconds that a request may take.
        pub request_timeout_s: f64 = 600.0, above(0);
    }
}

impl ServingConfig {
    /// What a request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.request_timeout_s).unwrap_or(Duration::MAX)
    }
}
