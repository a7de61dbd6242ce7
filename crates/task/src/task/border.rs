//! How a step begins and ends: texts that are written and sampled up to, and how they are read.

use super::keys::Keys;
use espalier_settings::OutOfRange;
use regex::{Regex, RegexBuilder};
use toml::{Table, Value};

/// Bytes that the automaton of one expression may take.
const MOST_BYTES: usize = 1 << 20;

/// The beginning or the end of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Border {
    /// As it is written. An end's text is the stop string; without one, a text ends where the model ends it.
    pub text: String,
    /// As it is read, where that is not the text with any white space around it.
    read: Option<Regex>,
}

impl Border {
    /// The border at a key: a text, or a table of `text` and `regex`.
    pub fn of(keys: &mut Keys, key: &'static str, side: Side) -> Result<Border, OutOfRange> {
        match keys.take(key) {
            None => Ok(Border::default()),
            Some(Value::String(text)) => Ok(Border { text, read: None }),
            Some(Value::Table(table)) => {
                let shown = table.to_string().trim_end().replace('\n', " ");
                let wanted = || keys.wrong(key, &shown, "a text, or { text = \"..\", regex = '..' }");
                let text = |name: &str| table.get(name).and_then(Value::as_str);
                let known = |table: &Table| table.keys().all(|name| name == "text" || name == "regex");
                let (Some(regex), true) = (text("regex"), known(&table)) else { return Err(wanted()) };
                let read = match side {
                    Side::Begin => format!(r"\A\s*(?:{regex})"),
                    Side::End => format!(r"(?:{regex})\s*\z"),
                };
                let read = expression(&read).map_err(|reason| keys.wrong(key, regex, reason))?;
                Ok(Border { text: text("text").unwrap_or_default().to_owned(), read: Some(read) })
            }
            Some(other) => Err(keys.wrong(key, other, "a text, or { text = \"..\", regex = '..' }")),
        }
    }

    /// What follows the beginning that a text has.
    pub fn after<'a>(&self, text: &'a str) -> Option<&'a str> {
        match &self.read {
            Some(read) => read.find(text).map(|found| &text[found.end()..]),
            None => text.trim_start().strip_prefix(self.text.trim()),
        }
    }

    /// What precedes the end that a text has. A border without text is no end.
    pub fn before<'a>(&self, text: &'a str) -> Option<&'a str> {
        match &self.read {
            Some(read) => read.find(text).map(|found| &text[..found.start()]),
            None if self.text.is_empty() => None,
            None => text.strip_suffix(&*self.text).or_else(|| {
                let end = self.text.trim();
                if end.is_empty() { None } else { text.trim_end().strip_suffix(end) }
            }),
        }
    }
}

/// Which border of a step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Begin,
    End,
}

/// A regular expression, or what is wrong with it in words that follow "must be".
pub(super) fn expression(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MOST_BYTES).build().map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("a regular expression ({reason})")
    })
}
