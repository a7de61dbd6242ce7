//! One setting, one table of them, and where they stand.

use crate::kind::{Kind, Name};
use serde_json::Value;

/// One setting.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key with the tables that it stands in: `search.c_puct`.
    pub key: String,
    /// Its type.
    pub kind: Kind,
    /// The default as a flag takes it; `None` where the setting is left out by default.
    pub default: Option<String>,
    /// What its values are restricted to beyond the type.
    pub range: Option<String>,
    /// What it means: the first paragraph of its documentation.
    pub sentence: String,
    /// Reads a flag's text, see [`Setting::read`](crate::Setting::read).
    pub read: fn(&str) -> Option<Value>,
    /// Whether a value has the type.
    pub accepts: fn(&Value) -> bool,
}

impl Entry {
    /// The key without its tables.
    pub fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or_default()
    }

    /// What its values must be, in words.
    pub fn expected(&self) -> String {
        match (&self.kind, &self.range) {
            (kind, None) => kind.to_string(),
            // What restricts texts describes them.
            (Kind::Text, Some(range)) => range.clone(),
            (Kind::List(of), Some(range)) => format!("a list, {range}, each {of}"),
            (kind, Some(range)) => format!("{kind}, {range}"),
        }
    }
}

/// A table of settings.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name with the tables that it stands in; empty for the outermost.
    pub key: String,
    /// What it is for.
    pub sentence: String,
    /// Its own settings, in the order of their declaration.
    pub entries: Vec<Entry>,
}

impl Table {
    /// A line of Markdown for each setting.
    pub(crate) fn rows(&self) -> Vec<String> {
        let row = |entry: &Entry| {
            let default = match entry.default.as_deref() {
                None => "not set".to_owned(),
                Some("") => "empty".to_owned(),
                Some(text) => format!("`{text}`"),
            };
            format!("| `{}` | {default} | {} | {} |\n", entry.name(), entry.expected(), entry.sentence)
        };
        self.entries.iter().map(row).collect()
    }

    pub(crate) fn has_keys_of(&self, other: &Table) -> bool {
        self.entries.iter().map(Entry::name).eq(other.entries.iter().map(Entry::name))
    }
}

/// Where in the list a setting belongs, and what its declaration says.
pub struct Place<'a> {
    /// The full key.
    pub key: String,
    /// The documentation comment.
    pub documentation: &'a str,
    /// The range in words; may be empty.
    pub range: String,
    /// The names that a text may be; may be empty.
    pub names: Vec<Name>,
    /// The table among those found so far.
    pub table: usize,
}

impl Place<'_> {
    /// Begins the table at this place; its index.
    #[doc(hidden)]
    pub fn open(self, tables: &mut Vec<Table>) -> (String, usize) {
        let table = Table { key: self.key.clone(), sentence: sentence(self.documentation), entries: Vec::new() };
        tables.push(table);
        (self.key, tables.len() - 1)
    }
}

/// The first paragraph of a documentation comment, on one line.
pub(crate) fn sentence(documentation: &str) -> String {
    let lines = documentation.lines().map(str::trim).skip_while(|line| line.is_empty());
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
