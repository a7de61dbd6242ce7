//! From flags to a configuration: defaults, overlaid by a TOML file, overlaid by flags.
//!
//! The flags of a command are a struct of `Option`s whose names are the configuration's, so that each flag is described
//! once, at its clap field, and a TOML file may hold the same keys.

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::Path;

/// Resolves a configuration: `defaults`, then the TOML `file`, then `flags`, each overriding what came before.
///
/// # Errors
/// A file that cannot be read or parsed; a key that the configuration does not have; a value of the wrong type.
pub fn resolve<C: Serialize + DeserializeOwned>(
    defaults: &C,
    file: Option<&Path>,
    flags: &impl Serialize,
) -> Result<C> {
    let mut merged = serde_json::to_value(defaults).context("the defaults cannot be serialised")?;
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let table: Value = toml::from_str(&text).with_context(|| format!("{} is not valid TOML", path.display()))?;
        overlay(&mut merged, table);
    }
    overlay(&mut merged, without_nulls(serde_json::to_value(flags).context("the flags cannot be serialised")?));
    serde_json::from_value(merged).context(match file {
        Some(path) => format!("bad configuration (from {} and the flags)", path.display()),
        None => "bad configuration".to_owned(),
    })
}

/// Puts `over` on top of `base`; tables are merged key by key.
fn overlay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(slot) => overlay(slot, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// Flags that were not given are `None`, and must not override anything.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let given = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(key, value)| (key, without_nulls(value))).collect::<Map<String, Value>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::io::Write;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Config {
        simulations: u32,
        c_puct: f64,
        seed: u64,
    }

    #[derive(Serialize)]
    struct Flags {
        simulations: Option<u32>,
        seed: Option<u64>,
    }

    const DEFAULTS: Config = Config { simulations: 200, c_puct: 1.5, seed: 0 };

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file = file("simulations = 100\nc_puct = 2.5\n");
        let flags = Flags { simulations: Some(7), seed: None };
        let config: Config = resolve(&DEFAULTS, Some(file.path()), &flags).unwrap();
        assert_eq!(config, Config { simulations: 7, c_puct: 2.5, seed: 0 });
    }

    #[test]
    fn an_unknown_key_is_named() {
        let file = file("simulation = 100\n");
        let flags = Flags { simulations: None, seed: None };
        let error = resolve::<Config>(&DEFAULTS, Some(file.path()), &flags).unwrap_err();
        assert!(format!("{error:#}").contains("unknown field `simulation`"), "{error:#}");
    }
}
