//! The canonical form of settings: only those that differ from their defaults.

use crate::error::join;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The settings that differ from those of `defaults`, by their full keys in order; a setting that is left out where the
/// defaults have one is null. Settings that mean the same have the same form however many others there are: a new key
/// leaves the form as it was as long as it has its default value. (A table that is left out by default has none.)
///
/// Numbers are written with as many digits as read back to the same bits, a float32 as the float64 that it is. Of a single
/// setting instead of a table the key is empty.
///
/// # Errors
/// Settings that JSON cannot hold.
pub fn deviations(
    settings: &(impl Serialize + ?Sized),
    defaults: &(impl Serialize + ?Sized),
) -> Result<BTreeMap<String, Value>, serde_json::Error> {
    let mut found = BTreeMap::new();
    collect(serde_json::to_value(settings)?, &serde_json::to_value(defaults)?, "", &mut found);
    Ok(found)
}

/// Descends to the leaves, so that the first setting that differs can be named.
fn collect(settings: Value, defaults: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
    match settings {
        Value::Object(settings) if !settings.is_empty() || defaults.is_object() => {
            let none = Map::new();
            let defaults = defaults.as_object().unwrap_or(&none);
            for (key, default) in defaults.iter().filter(|(key, _)| !settings.contains_key(*key)) {
                if !default.is_null() {
                    found.insert(join(at, key), Value::Null);
                }
            }
            for (key, value) in settings {
                collect(value, defaults.get(&key).unwrap_or(&Value::Null), &join(at, &key), found);
            }
        }
        value if value != *defaults => {
            found.insert(at.to_owned(), value);
        }
        _ => {}
    }
}
