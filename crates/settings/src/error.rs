//! What can be wrong with settings.

use std::fmt::Display;
use thiserror::Error;

/// A value that a setting cannot have. Every crate says so in these words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key} is {value}, but must be {range}")]
pub struct OutOfRange {
    /// The setting, with the tables that it stands in as far as they are known: `search.c_puct`.
    pub key: String,
    /// The value given.
    pub value: String,
    /// What the value may be.
    pub range: String,
}

impl OutOfRange {
    /// The error that `key` is `value`, but must be `range`.
    pub fn new(key: impl Into<String>, value: impl Display, range: impl Into<String>) -> OutOfRange {
        OutOfRange { key: key.into(), value: value.to_string(), range: range.into() }
    }

    /// The same error, seen from outside the `table` that the key stands in; the outermost table has no name.
    #[must_use]
    pub fn within(self, table: &str) -> OutOfRange {
        OutOfRange { key: join(table, &self.key), ..self }
    }
}

/// Why given settings cannot be laid over others.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingError {
    /// No setting and no table has this name.
    #[error("{key} is no setting; {} has {known}", if table.is_empty() { "the outermost table" } else { table.as_str() })]
    Unknown {
        /// The name, with its tables.
        key: String,
        /// The innermost table that exists; empty for the outermost.
        table: String,
        /// What there is in that table.
        known: String,
    },
    /// A value of the wrong type, or a name that is no choice.
    #[error(transparent)]
    Value(#[from] OutOfRange),
    /// Settings that cannot be written as JSON, or read back from it.
    #[error("the settings cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
}

/// A key with the table that it stands in.
#[doc(hidden)]
pub fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}
