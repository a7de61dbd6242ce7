//! A setting as a flag: name, help, default, possible values and parser come from its declaration.

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Command, Error};
use espalier_settings::{Entry, Kind, Name, Reference};
use serde_json::Value;
use std::ffi::OsStr;

/// A setting that a command takes as a flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    key: &'static str,
    name: Option<&'static str>,
    context: &'static str,
    apart_from: Option<&'static str>,
}

/// The flag of the setting `key`, without the tables of its [`Group`]. Its name is the key's last part.
pub const fn flag(key: &'static str) -> Flag {
    Flag { key, name: None, context: "", apart_from: None }
}

impl Flag {
    /// Another name than the key's.
    #[must_use]
    pub const fn named(self, name: &'static str) -> Flag {
        Flag { name: Some(name), ..self }
    }

    /// When the command looks at the setting, in words that come before its own: `With --method mcts`.
    #[must_use]
    pub const fn when(self, context: &'static str) -> Flag {
        Flag { context, ..self }
    }

    /// An argument that the flag cannot be given with.
    #[must_use]
    pub const fn apart_from(self, argument: &'static str) -> Flag {
        Flag { apart_from: Some(argument), ..self }
    }

    /// What was declared of the setting.
    pub(super) fn entry<'a>(&self, reference: &'a Reference, table: &str) -> &'a Entry {
        let key = if table.is_empty() { self.key.to_owned() } else { format!("{table}.{}", self.key) };
        reference.entry(&key).unwrap_or_else(|| panic!("a flag for {key}, which is no setting"))
    }

    /// The argument of the command line.
    pub(super) fn argument(&self, reference: &Reference, table: &str, shows_default: bool) -> Arg {
        let entry = self.entry(reference, table);
        let name = self.name.map_or_else(|| entry.name().replace('_', "-"), str::to_owned);
        let element = if let Kind::List(of) = &entry.kind { of } else { &entry.kind };
        let mut arg = Arg::new(entry.key.clone())
            .long(name)
            .help(help(entry, self.context))
            .help_heading(if table.is_empty() { "Settings".to_owned() } else { format!("Settings [{table}]") })
            .value_name(value_name(element))
            .value_parser(Reader::of(entry, element))
            .allow_negative_numbers(matches!(element, Kind::Number | Kind::Form(_)));
        match &entry.kind {
            Kind::List(_) => arg = arg.action(ArgAction::Append).value_delimiter(','),
            Kind::Numbers | Kind::Texts => arg = arg.action(ArgAction::Append),
            Kind::Switch => arg = arg.num_args(0..=1).default_missing_value("true"),
            _ => {}
        }
        if let Some(default) = entry.default.as_ref().filter(|default| shows_default && !default.is_empty()) {
            arg = arg.default_value(default.clone());
        }
        match self.apart_from {
            Some(other) => arg.conflicts_with(other),
            None => arg,
        }
    }
}

/// Flags of one table; the outermost has no name.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The table.
    pub table: &'static str,
    /// Its settings that are flags.
    pub flags: &'static [Flag],
}

/// The flags of a table.
pub const fn group(table: &'static str, flags: &'static [Flag]) -> Group {
    Group { table, flags }
}

fn value_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Whole => "N",
        Kind::Number => "X",
        Kind::Switch => "BOOL",
        Kind::Choice(_) => "NAME",
        Kind::Form(_) => "FORM",
        Kind::Numbers | Kind::Texts => "NAME=VALUE",
        Kind::Text | Kind::List(_) | Kind::Table => "TEXT",
    }
}

/// The setting's sentence, after when the command looks at it, and with the forms of its values.
fn help(entry: &Entry, context: &str) -> String {
    let sentence = entry.sentence.trim_end_matches('.').replace('`', "");
    let begins_with_a_word = sentence.chars().nth(1).is_some_and(char::is_lowercase);
    let sentence = match sentence.split_at_checked(1) {
        Some((first, rest)) if !context.is_empty() && begins_with_a_word => {
            format!("{context}: {}{rest}", first.to_lowercase())
        }
        _ if !context.is_empty() => format!("{context}: {sentence}"),
        _ => sentence,
    };
    match (&entry.kind, &entry.range) {
        (Kind::Form(forms), _) => format!("{sentence} ({forms})"),
        // What restricts texts describes them.
        (Kind::Text, Some(range)) => format!("{sentence} ({range})"),
        (Kind::List(_), _) => format!("{sentence}; several with commas between"),
        (Kind::Numbers | Kind::Texts, _) => format!("{sentence}; may be given again"),
        _ => sentence,
    }
}

/// Reads the text of a flag. A name that is no choice passes here, and is refused in the words that a file's would be.
#[derive(Clone)]
struct Reader {
    read: fn(&str) -> Option<Value>,
    kind: String,
    names: Vec<Name>,
}

impl Reader {
    fn of(entry: &Entry, element: &Kind) -> Reader {
        let names = if let Kind::Choice(names) = element { names.clone() } else { Vec::new() };
        Reader { read: entry.read, kind: element.to_string(), names }
    }
}

impl TypedValueParser for Reader {
    type Value = Value;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Value, Error> {
        let Reader { read, kind, .. } = self.clone();
        let parser = StringValueParser::new().try_map(move |text| read(&text).ok_or_else(|| format!("not {kind}")));
        parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let shown = self.names.iter().map(|Name { name, sentence }| match sentence.as_str() {
            "" => PossibleValue::new(*name),
            sentence => PossibleValue::new(*name).help(sentence.trim_end_matches('.').to_owned()),
        });
        if self.names.is_empty() { None } else { Some(Box::new(shown)) }
    }
}
