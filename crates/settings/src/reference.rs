//! All settings of a configuration as a list: what help texts, flags and the printed reference are made of.

use crate::range::Range;
use crate::setting::{Kind, Name, Setting, sentence};
use serde_json::Value;
use std::fmt::Write;

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
    /// Reads a flag's text, see [`Setting::read`].
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
    fn rows(&self) -> Vec<String> {
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

    fn has_keys_of(&self, other: &Table) -> bool {
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

impl<'a> Place<'a> {
    /// The place of `key`.
    #[doc(hidden)]
    pub fn new<T>(key: String, documentation: &'a str, range: &Range<T>, table: usize) -> Place<'a> {
        Place { key, documentation, range: range.words().to_owned(), names: range.names().to_vec(), table }
    }

    /// Begins the table at this place; its index.
    #[doc(hidden)]
    pub fn open(self, tables: &mut Vec<Table>) -> (String, usize) {
        let table = Table { key: self.key.clone(), sentence: sentence(self.documentation), entries: Vec::new() };
        tables.push(table);
        (self.key, tables.len() - 1)
    }
}

/// All settings of a configuration.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The outermost table, then each in the order of declaration, before the tables within it.
    pub tables: Vec<Table>,
}

impl Reference {
    /// The settings of a type, with the values of `defaults`.
    pub fn of<T: Setting>(defaults: &T) -> Reference {
        let mut tables = Vec::new();
        let place = Place { key: String::new(), documentation: "", range: String::new(), names: Vec::new(), table: 0 };
        T::describe(Some(defaults), place, &mut tables);
        Reference { tables }
    }

    /// The setting of a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.key == key)
    }

    /// The table of a name.
    pub fn table(&self, key: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.key == key)
    }

    /// Every setting.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tables.iter().flat_map(|table| &table.entries)
    }

    /// The settings and tables that stand in the table `key` itself, by their last names.
    pub(crate) fn names_in(&self, key: &str) -> Vec<&str> {
        let within = |full: &'_ str| -> Option<usize> {
            let inner = if key.is_empty() { full } else { full.strip_prefix(key)?.strip_prefix('.')? };
            (!inner.is_empty() && !inner.contains('.')).then(|| full.len() - inner.len())
        };
        let keys = self.entries().map(|entry| entry.key.as_str());
        let keys = keys.chain(self.tables.iter().map(|table| table.key.as_str()));
        keys.filter_map(|full| within(full).map(|at| &full[at..])).collect()
    }

    /// A Markdown table for each table of settings. Of a table whose keys another one has before it, only the rows that
    /// differ from that are written.
    pub fn markdown(&self) -> String {
        let mut page = String::new();
        for (at, table) in self.tables.iter().enumerate().filter(|(_, table)| !table.entries.is_empty()) {
            let title = if table.key.is_empty() { "Outside any table" } else { &format!("`[{}]`", table.key) };
            // Writing to a String cannot fail.
            let _ = write!(page, "## {title}\n\n");
            if !table.sentence.is_empty() {
                let _ = write!(page, "{}\n\n", table.sentence);
            }
            let rows = table.rows();
            let like = self.tables[..at].iter().find(|before| before.has_keys_of(table));
            let known = like.map(Table::rows).unwrap_or_default();
            let rows: Vec<String> = rows.into_iter().filter(|row| !known.contains(row)).collect();
            match like {
                Some(like) if rows.is_empty() => {
                    let _ = write!(page, "As `[{}]`.\n\n", like.key);
                    continue;
                }
                Some(like) => {
                    let _ = write!(page, "As `[{}]`, but for:\n\n", like.key);
                }
                None => {}
            }
            page += "| key | default | values | meaning |\n|---|---|---|---|\n";
            page += &rows.concat();
            page.push('\n');
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
        page
    }
}
