//! The canonical form of settings: only those that differ from their defaults.

use crate::error::join;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The settings that differ from those of `defaults`, by their full keys in order; a setting that is left out where the
/// defaults have one is null. Settings that mean the same have the same form however many others there are: a new key
/// leaves the form as it was as long as it has its default value. (A table that is left out by default stays whole.)
///
/// Numbers are written with as many digits as read back to the same bits, a float32 as the float64 that it is.
///
/// # Errors
/// Settings that JSON cannot hold.
pub fn deviations(
    settings: &impl Serialize,
    defaults: &impl Serialize,
) -> Result<BTreeMap<String, Value>, serde_json::Error> {
    let mut found = BTreeMap::new();
    collect(serde_json::to_value(settings)?, &serde_json::to_value(defaults)?, "", &mut found);
    Ok(found)
}

/// Descends where both sides have a table, so that a setting that is an object in one of its forms stays whole.
fn collect(settings: Value, defaults: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
    match (settings, defaults) {
        (Value::Object(settings), Value::Object(defaults)) => {
            for key in defaults.keys().filter(|key| !settings.contains_key(*key)) {
                if !defaults[key].is_null() {
                    found.insert(join(at, key), Value::Null);
                }
            }
            for (key, value) in settings {
                collect(value, defaults.get(&key).unwrap_or(&Value::Null), &join(at, &key), found);
            }
        }
        (value, default) if value != *default => {
            found.insert(at.to_owned(), value);
        }
        _ => {}
    }
}
