//! The keys of a task's file, each taken once; what is left over is refused by name.

use espalier_settings::OutOfRange;
use toml::{Table, Value};

/// A table of a task's file.
pub(super) struct Keys {
    table: Table,
    /// The table's own key, with a dot behind it; empty for the outermost.
    at: String,
    asked: Vec<&'static str>,
}

impl Keys {
    pub fn new(table: Table) -> Keys {
        Keys { table, at: String::new(), asked: Vec::new() }
    }

    /// The same keys as those of the table `at`.
    pub fn within(self, at: &str) -> Keys {
        Keys { at: format!("{at}."), ..self }
    }

    /// The full name of a key, as errors say it.
    pub fn name(&self, key: &str) -> String {
        format!("{}{key}", self.at)
    }

    /// What is wrong with a key's value.
    pub fn wrong(&self, key: &str, value: impl std::fmt::Display, wanted: impl Into<String>) -> OutOfRange {
        OutOfRange::new(self.name(key), value, wanted)
    }

    /// The value of a key, whatever it is.
    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.remove(key)
    }

    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, OutOfRange> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, other, "a text")),
        }
    }

    pub fn flag(&mut self, key: &'static str) -> Result<bool, OutOfRange> {
        match self.take(key) {
            None => Ok(false),
            Some(Value::Boolean(flag)) => Ok(flag),
            Some(other) => Err(self.wrong(key, other, "true or false")),
        }
    }

    /// A number from 1 up.
    pub fn count(&mut self, key: &'static str) -> Result<Option<usize>, OutOfRange> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_integer().and_then(|number| usize::try_from(number).ok()).filter(|&number| number > 0) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(key, value, "a whole number from 1 up")),
        }
    }

    /// A list of texts that are not empty; an empty list where the key is not there.
    pub fn texts(&mut self, key: &'static str) -> Result<Vec<String>, OutOfRange> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let text = |one: &Value| one.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let texts = value.as_array().and_then(|all| all.iter().map(text).collect::<Option<Vec<_>>>());
        texts.ok_or_else(|| self.wrong(key, value, "a list of texts, none of them empty"))
    }

    /// A table; an empty one where the key is not there.
    pub fn table(&mut self, key: &'static str) -> Result<Keys, OutOfRange> {
        let at = format!("{}.", self.name(key));
        match self.take(key) {
            None => Ok(Keys { table: Table::new(), at, asked: Vec::new() }),
            Some(Value::Table(table)) => Ok(Keys { table, at, asked: Vec::new() }),
            Some(other) => Err(self.wrong(key, other, "a table")),
        }
    }

    /// A table as it is, of keys that somebody chose.
    pub fn named(&mut self, key: &'static str) -> Result<Table, OutOfRange> {
        match self.take(key) {
            None => Ok(Table::new()),
            Some(Value::Table(table)) => Ok(table),
            Some(other) => Err(self.wrong(key, other, "a table")),
        }
    }

    /// Refuses a key that nobody has asked for.
    pub fn finish(self) -> Result<(), OutOfRange> {
        match self.table.iter().next() {
            None => Ok(()),
            Some((key, value)) => {
                let known = format!("left out: the keys here are {}", self.asked.join(", "));
                Err(self.wrong(key, value, known))
            }
        }
    }
}
