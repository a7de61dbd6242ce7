//! What may stand at a key: a type's values as flags and files write them.

use crate::entry::{Entry, Place, Table, sentence};
use crate::error::OutOfRange;
use crate::kind::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A type whose values settings can have.
///
/// Types of single values say their [`kind`](Setting::kind) and how they are written; for tables and choices the macros
/// [`settings!`](crate::settings) and [`choices!`](crate::choices) write the implementation.
pub trait Setting: Serialize + DeserializeOwned + 'static {
    /// The type in words.
    fn kind() -> Kind;

    /// The value as a flag takes it; `None` for a value that is not set, and for a table.
    fn text(&self) -> Option<String>;

    /// Reads a flag's text, for a list one element of it. A text of the wrong form comes back as a text, which
    /// [`overlay`](crate::overlay()) refuses in the words that it has for files too; `None` is no number or no switch.
    fn read(text: &str) -> Option<Value>;

    /// Checks what the type itself demands of its values, and within a table every setting.
    fn check_at(&self, _key: &str) -> Result<(), OutOfRange> {
        Ok(())
    }

    /// Adds the settings at this place, of which `value` holds the defaults, to `tables`. A value that is not set by
    /// default is `None`.
    fn describe(value: Option<&Self>, place: Place<'_>, tables: &mut Vec<Table>) {
        let Place { key, documentation, range, names, table } = place;
        // The range of a text that is one of some names is said by the kind.
        let (kind, range) = match Self::kind() {
            kind if names.is_empty() => (kind, Some(range).filter(|range| !range.is_empty())),
            Kind::List(_) => (Kind::List(Box::new(Kind::Choice(names))), None),
            _ => (Kind::Choice(names), None),
        };
        tables[table].entries.push(Entry {
            key,
            range,
            kind,
            default: value.and_then(Setting::text),
            sentence: sentence(documentation),
            read: Self::read,
            accepts: |value| Self::deserialize(value).is_ok(),
        });
    }
}

/// A value as errors show it: texts in quotation marks.
pub(crate) fn shown<T: Setting>(value: &T) -> String {
    match value.text() {
        None => "not set".to_owned(),
        Some(text) if T::kind() == Kind::Text => format!("{text:?}"),
        Some(text) if text.is_empty() => "empty".to_owned(),
        Some(text) => text,
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {
        $(impl Setting for $number {
            fn kind() -> Kind {
                Kind::Whole
            }

            fn text(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn read(text: &str) -> Option<Value> {
                text.parse::<$number>().ok().map(Value::from)
            }
        })*
    };
}
whole_numbers!(u16, u32, u64, usize);

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Setting for $number {
            fn kind() -> Kind {
                Kind::Number
            }

            /// The shortest text that reads back to the same number, with a power of ten where zeros would hide it.
            fn text(&self) -> Option<String> {
                let is_small = *self != 0.0 && self.abs() < 1e-3;
                Some(if is_small { format!("{self:e}") } else { self.to_string() })
            }

            fn read(text: &str) -> Option<Value> {
                text.parse::<$number>().ok().filter(|number| number.is_finite()).map(Value::from)
            }
        })*
    };
}
numbers!(f32, f64);

impl Setting for bool {
    fn kind() -> Kind {
        Kind::Switch
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn read(text: &str) -> Option<Value> {
        text.parse().ok().map(Value::Bool)
    }
}

impl Setting for String {
    fn kind() -> Kind {
        Kind::Text
    }

    fn text(&self) -> Option<String> {
        Some(self.clone())
    }

    fn read(text: &str) -> Option<Value> {
        Some(text.into())
    }
}

/// A setting that may be left out.
impl<T: Setting> Setting for Option<T> {
    fn kind() -> Kind {
        T::kind()
    }

    fn text(&self) -> Option<String> {
        self.as_ref().and_then(T::text)
    }

    fn read(text: &str) -> Option<Value> {
        T::read(text)
    }

    fn check_at(&self, key: &str) -> Result<(), OutOfRange> {
        self.as_ref().map_or(Ok(()), |value| value.check_at(key))
    }

    fn describe(value: Option<&Self>, place: Place<'_>, tables: &mut Vec<Table>) {
        T::describe(value.and_then(Option::as_ref), place, tables);
    }
}

/// Several values; flags give them one by one or with commas between.
impl<T: Setting> Setting for Vec<T> {
    fn kind() -> Kind {
        Kind::List(Box::new(T::kind()))
    }

    fn text(&self) -> Option<String> {
        Some(self.iter().filter_map(T::text).collect::<Vec<_>>().join(","))
    }

    fn read(text: &str) -> Option<Value> {
        T::read(text)
    }

    fn check_at(&self, key: &str) -> Result<(), OutOfRange> {
        self.iter().try_for_each(|value| value.check_at(key))
    }
}

/// Texts by name; a flag gives one as NAME=VALUE.
impl Setting for BTreeMap<String, String> {
    fn kind() -> Kind {
        Kind::Texts
    }

    fn text(&self) -> Option<String> {
        Some(self.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(","))
    }

    fn read(text: &str) -> Option<Value> {
        let (name, text) = text.split_once('=')?;
        Some(Value::Object(Map::from_iter([(name.to_owned(), text.into())])))
    }
}

/// Numbers by name; a flag gives one as NAME=VALUE.
impl Setting for BTreeMap<String, f64> {
    fn kind() -> Kind {
        Kind::Numbers
    }

    fn text(&self) -> Option<String> {
        Some(self.iter().map(|(name, number)| format!("{name}={number}")).collect::<Vec<_>>().join(","))
    }

    fn read(text: &str) -> Option<Value> {
        let (name, number) = text.split_once('=')?;
        Some(Value::Object(Map::from_iter([(name.to_owned(), f64::read(number)?)])))
    }
}
