//! From TOML and flags to a configuration: each laid over what comes before it.

use super::RunConfig;
use anyhow::{Context, Result, anyhow};
use espalier_settings::{SettingError, overlay};
use serde_json::{Map, Value};
use std::path::Path;

/// Keys that stand in another table than they did, with the reason.
const MOVED: [(&str, &str, &str); 1] =
    [("search.in_flight", "runtime.in_flight", "it decides how fast trees come, never a tree")];

impl RunConfig {
    /// The configuration with the settings of a TOML file in the places of its own.
    ///
    /// # Errors
    /// A file that cannot be read or parsed; a key that is no setting; a value of the wrong type.
    pub fn with_file(&self, path: &Path) -> Result<RunConfig> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.with_toml(&text).with_context(|| format!("bad configuration in {}", path.display()))
    }

    /// As [`with_file`](RunConfig::with_file), with the text of the file.
    ///
    /// # Errors
    /// A text that is not TOML; a key that is no setting; a value of the wrong type.
    pub fn with_toml(&self, text: &str) -> Result<RunConfig> {
        self.with(toml::from_str(text).context("not valid TOML")?)
    }

    /// The configuration with these settings in the places of its own, tables being objects.
    ///
    /// # Errors
    /// A key that is no setting; a value of the wrong type.
    pub fn with(&self, settings: Map<String, Value>) -> Result<RunConfig> {
        overlay(self, Value::Object(settings)).map_err(|error| match &error {
            SettingError::Unknown { key, .. } => match MOVED.iter().find(|(old, ..)| old == key) {
                Some((old, new, reason)) => anyhow!("{old} is now {new}, since {reason}; move it there"),
                None => error.into(),
            },
            _ => error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(text: &str) -> String {
        format!("{:#}", RunConfig::default().with_toml(text).unwrap_err())
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file = RunConfig::default().with_toml("seed = 3\n[search]\nsimulations = 100\nc_puct = 2.5\n").unwrap();
        let Value::Object(flags) = json!({ "search": { "simulations": 7 } }) else { panic!("an object") };
        let config = file.with(flags).unwrap();
        assert_eq!((config.seed, config.search.simulations, config.search.c_puct, config.search.k), (3, 7, 2.5, 3));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let message = refused("[search]\nsimulation = 100\n");
        assert!(message.starts_with("search.simulation is no setting; search has strategy, simulations,"), "{message}");
    }

    #[test]
    fn a_key_that_has_moved_says_where_it_went() {
        let message = refused("[search]\nin_flight = 8\n");
        assert_eq!(
            message,
            "search.in_flight is now runtime.in_flight, since it decides how fast trees come, never a tree; move it there"
        );
    }

    #[test]
    fn what_is_written_is_read_back_to_the_bit() {
        let mut config = RunConfig::small();
        config.search.temperature = 0.1;
        config.search.c_puct = 0.1 + 0.2;
        let text = toml::to_string_pretty(&config).unwrap();
        assert_eq!(RunConfig::default().with_toml(&text).unwrap(), config, "{text}");
    }
}
