//! All settings of a configuration as a list: what help texts, flags and the printed reference are made of.

use crate::entry::{Entry, Place, Table};
use crate::setting::Setting;
use std::fmt::Write;

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
