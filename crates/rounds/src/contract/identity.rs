//! What decides a stage's result.

use anyhow::{Context as _, Result};
use espalier_settings::deviations;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What decides a stage's result, key by key: two runs of a stage with equal identities give equal files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the stage.
    pub stage: String,
    /// Version of what the stage does with equal settings and inputs; raised when that changes.
    pub rules: u32,
    /// The settings that differ from their defaults, by key. A key that is new, and has its default value, changes nothing.
    pub settings: BTreeMap<String, Value>,
    /// Fingerprints of the contents of the inputs, by name.
    pub inputs: BTreeMap<String, String>,
}

impl Identity {
    /// An identity without settings and inputs.
    pub fn new(stage: &str, rules: u32) -> Identity {
        Identity { stage: stage.to_owned(), rules, settings: BTreeMap::new(), inputs: BTreeMap::new() }
    }

    /// Adds the settings of a table that differ from their defaults; `key` is the table's, or a single setting's.
    pub fn setting<T: Serialize + ?Sized>(mut self, key: &str, value: &T, default: &T) -> Result<Identity> {
        let found = deviations(value, default).with_context(|| format!("cannot encode the setting {key}"))?;
        let within = |name: String| if name.is_empty() { key.to_owned() } else { format!("{key}.{name}") };
        self.settings.extend(found.into_iter().map(|(name, value)| (within(name), value)));
        Ok(self)
    }

    /// Adds a setting that has no default.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Identity {
        self.settings.insert(key.to_owned(), value.into());
        self
    }

    /// Adds the fingerprint of an input.
    #[must_use]
    pub fn input(mut self, name: &str, fingerprint: String) -> Identity {
        self.inputs.insert(name.to_owned(), fingerprint);
        self
    }

    /// The keys of all settings that `wanted` has otherwise, with both values in words.
    pub fn settings_that_differ(&self, wanted: &BTreeMap<String, Value>) -> Vec<(String, String, String)> {
        let keys: BTreeSet<&String> = self.settings.keys().chain(wanted.keys()).collect();
        let shown = |value: Option<&Value>| value.map_or_else(|| "the default".to_owned(), Value::to_string);
        let both = |key: &String| (self.settings.get(key), wanted.get(key));
        let differing = keys.into_iter().filter(|key| both(key).0 != both(key).1);
        differing.map(|key| (key.clone(), shown(both(key).0), shown(both(key).1))).collect()
    }

    /// The first thing in which this identity, that of an output on disk, differs from `wanted`: its key, and both values.
    /// `None` if nothing does.
    pub fn difference(&self, wanted: &Identity) -> Option<String> {
        if self.stage != wanted.stage {
            return Some(format!("its stage is {}, not {}", self.stage, wanted.stage));
        }
        if let Some((key, there, here)) = self.settings_that_differ(&wanted.settings).into_iter().next() {
            return Some(format!("{key} is {there} there and {here} here"));
        }
        let names: BTreeSet<&String> = self.inputs.keys().chain(wanted.inputs.keys()).collect();
        if let Some(name) = names.into_iter().find(|name| self.inputs.get(*name) != wanted.inputs.get(*name)) {
            return Some(format!("its {name} had another content"));
        }
        (self.rules != wanted.rules)
            .then(|| format!("it was made by rules {}, this program has rules {}", self.rules, wanted.rules))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: &Value) -> Identity {
        let default = json!({"c_puct": 1.5, "stop_when": {"tokens": null}, "simulations": 200});
        Identity::new("search", 1).setting("search", value, &default).unwrap().input("problems", "p".into())
    }

    #[test]
    fn a_key_with_its_default_value_changes_nothing() {
        let (old, new) = (json!({"c_puct": 1.5}), json!({"c_puct": 1.5, "simulations": 200}));
        let default_without = |value: &Value| Identity::new("s", 1).setting("search", value, &old).unwrap();
        let default_with = |value: &Value| Identity::new("s", 1).setting("search", value, &new).unwrap();
        assert_eq!(default_without(&old), default_with(&new));
    }

    #[test]
    fn the_key_that_differs_is_named_with_both_values() {
        let there = of(&json!({"c_puct": 2.5, "stop_when": {"tokens": null}, "simulations": 200}));
        let here = of(&json!({"c_puct": 1.5, "stop_when": {"tokens": null}, "simulations": 200}));
        assert_eq!(there.difference(&there), None);
        assert_eq!(there.difference(&here).unwrap(), "search.c_puct is 2.5 there and the default here");
        let deep = of(&json!({"c_puct": 1.5, "stop_when": {"tokens": 7}, "simulations": 200}));
        assert_eq!(here.difference(&deep).unwrap(), "search.stop_when.tokens is the default there and 7 here");
        let other = here.clone().input("problems", "q".into());
        assert_eq!(here.difference(&other).unwrap(), "its problems had another content");
        let newer = Identity { rules: 2, ..here.clone() };
        assert_eq!(here.difference(&newer).unwrap(), "it was made by rules 1, this program has rules 2");
    }
}
