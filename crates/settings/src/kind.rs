//! The types of settings in words: numbers, texts, choices, lists, and tables of further keys.

use std::fmt;

/// The type of a setting's values.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number without a fraction, from 0 up.
    Whole,
    /// Any finite number.
    Number,
    /// True or false.
    Switch,
    /// Any text.
    Text,
    /// One of these names.
    Choice(Vec<Name>),
    /// A text in one of the forms that the words name.
    Form(&'static str),
    /// Several values of one kind.
    List(Box<Kind>),
    /// Numbers by names that are not known here.
    Numbers,
    /// Texts by names that are not known here.
    Texts,
    /// Further settings.
    Table,
}

/// A name that a setting's value may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As flags and files spell it.
    pub name: &'static str,
    /// What it means; may be empty.
    pub sentence: String,
}

impl Name {
    /// A name that is its own explanation.
    pub fn bare(name: &'static str) -> Name {
        Name { name, sentence: String::new() }
    }

    /// `one of a, b, c`.
    pub fn one_of(names: &[Name]) -> String {
        format!("one of {}", names.iter().map(|name| name.name).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Whole => f.write_str("a whole number"),
            Kind::Number => f.write_str("a number"),
            Kind::Switch => f.write_str("true or false"),
            Kind::Text => f.write_str("a text"),
            Kind::Choice(names) => f.write_str(&Name::one_of(names)),
            Kind::Form(words) => f.write_str(words),
            Kind::List(of) => write!(f, "a list, each {of}"),
            Kind::Numbers => f.write_str("numbers by name"),
            Kind::Texts => f.write_str("texts by name"),
            Kind::Table => f.write_str("a table"),
        }
    }
}
