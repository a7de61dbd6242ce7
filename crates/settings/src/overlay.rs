//! Given settings laid over others: files over defaults, flags over files.

use crate::error::{OutOfRange, SettingError, join};
use crate::kind::Kind;
use crate::reference::Reference;
use crate::setting::Setting;
use serde_json::{Map, Value};

/// The settings of `base`, with those of `over` in their places. `over` is an object of keys, tables being objects within
/// it; what it leaves out stays as in `base`. Named numbers and texts are taken over one by one, lists as a whole.
///
/// Ranges are not looked at: a later layer may put right what an earlier one has wrong.
///
/// # Errors
/// The first key that is none, or whose value is of the wrong type.
pub fn overlay<T: Setting>(base: &T, over: Value) -> Result<T, SettingError> {
    let mut merged = serde_json::to_value(base)?;
    merge(&mut merged, over, "", &Reference::of(base))?;
    Ok(serde_json::from_value(merged)?)
}

fn merge(base: &mut Value, over: Value, table: &str, reference: &Reference) -> Result<(), SettingError> {
    let over = match over {
        Value::Object(over) => over,
        other => return Err(OutOfRange::new(table, other, Kind::Table.to_string()).into()),
    };
    // An optional table that is not set is null, or nothing at all.
    let base = match base {
        Value::Object(base) => base,
        other => {
            *other = Value::Object(Map::new());
            let Value::Object(base) = other else { return Ok(()) };
            base
        }
    };
    for (name, value) in over {
        let key = join(table, &name);
        if let Some(entry) = reference.entry(&key) {
            if !(entry.accepts)(&value) {
                return Err(OutOfRange::new(key, value, entry.expected()).into());
            }
            match (base.get_mut(&name), value) {
                (Some(Value::Object(named)), Value::Object(more))
                    if matches!(entry.kind, Kind::Numbers | Kind::Texts) =>
                {
                    named.extend(more);
                }
                (_, value) => {
                    base.insert(name, value);
                }
            }
        } else if reference.table(&key).is_some() {
            merge(base.entry(name).or_insert(Value::Null), value, &key, reference)?;
        } else {
            let known = reference.names_in(table).join(", ");
            return Err(SettingError::Unknown { key, table: table.to_owned(), known });
        }
    }
    Ok(())
}
