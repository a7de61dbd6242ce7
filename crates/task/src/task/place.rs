//! Where the answer of a solution stands.

use super::border::expression;
use super::keys::Keys;
use crate::answer::{AnswerKind, boxed, extract, last_number};
use espalier_settings::OutOfRange;
use regex::Regex;
use toml::Value;

const WANTED: &str = "one of boxed, choice, last_number, whole, or { regex = 'one (group)' }";

/// Where the answer of a solution stands.
#[derive(Clone, Debug, Default)]
pub enum AnswerPlace {
    /// In the last `\boxed{..}`.
    #[default]
    Boxed,
    /// In the one group of an expression, where it matches last.
    Regex(Regex),
    /// The letter of a choice.
    Choice,
    /// The last number.
    LastNumber,
    /// All of the solution.
    Whole,
}

impl AnswerPlace {
    pub(super) fn of(keys: &mut Keys) -> Result<AnswerPlace, OutOfRange> {
        let key = "answer";
        let value = keys.take(key);
        let named = match &value {
            None => Some(AnswerPlace::Boxed),
            Some(Value::String(name)) => match name.as_str() {
                "boxed" => Some(AnswerPlace::Boxed),
                "choice" => Some(AnswerPlace::Choice),
                "last_number" => Some(AnswerPlace::LastNumber),
                "whole" => Some(AnswerPlace::Whole),
                _ => None,
            },
            Some(Value::Table(table)) if table.len() == 1 => match table.get("regex").and_then(Value::as_str) {
                Some(pattern) => {
                    let regex = expression(pattern).map_err(|reason| keys.wrong("answer.regex", pattern, reason))?;
                    if regex.captures_len() != 2 {
                        let groups = format!("{pattern:?} with {} groups", regex.captures_len() - 1);
                        return Err(keys.wrong("answer.regex", groups, "an expression with one group: the answer"));
                    }
                    Some(AnswerPlace::Regex(regex))
                }
                None => None,
            },
            Some(_) => None,
        };
        named.ok_or_else(|| keys.wrong(key, value.unwrap_or(Value::Boolean(false)), WANTED))
    }

    /// The answer of a solution, trimmed and not empty.
    ///
    /// ```
    /// # use espalier_task::AnswerPlace;
    /// assert_eq!(AnswerPlace::Boxed.find(r"So \boxed{ 7 }.").as_deref(), Some("7"));
    /// assert_eq!(AnswerPlace::LastNumber.find("3 + 4 = 7.").as_deref(), Some("7"));
    /// assert_eq!(AnswerPlace::Choice.find("It must be (C).").as_deref(), Some("C"));
    /// assert_eq!(AnswerPlace::Boxed.find("7"), None);
    /// ```
    pub fn find(&self, body: &str) -> Option<String> {
        let found = match self {
            AnswerPlace::Boxed => boxed(body)?.into_owned(),
            AnswerPlace::Regex(regex) => regex.captures_iter(body).last()?.get(1)?.as_str().to_owned(),
            AnswerPlace::Choice => extract(body, AnswerKind::Choice)?.0,
            AnswerPlace::LastNumber => last_number(body)?.to_owned(),
            AnswerPlace::Whole => body.to_owned(),
        };
        let found = found.trim();
        (!found.is_empty()).then(|| found.to_owned())
    }

    /// Whether a text has what marks an answer, even an empty one: such a step ends its path. A last number, a letter or a
    /// whole text marks nothing.
    pub(super) fn is_marked_in(&self, body: &str) -> bool {
        match self {
            AnswerPlace::Boxed => body.contains("\\boxed"),
            AnswerPlace::Regex(regex) => regex.is_match(body),
            AnswerPlace::Choice | AnswerPlace::LastNumber | AnswerPlace::Whole => false,
        }
    }

    /// In words, for what is missing: `no \boxed{..}`.
    pub(super) fn words(&self) -> String {
        match self {
            AnswerPlace::Boxed => "\\boxed{..} with something in it".to_owned(),
            AnswerPlace::Regex(regex) => format!("match of {regex}"),
            AnswerPlace::Choice => "letter of a choice".to_owned(),
            AnswerPlace::LastNumber => "number".to_owned(),
            AnswerPlace::Whole => "text".to_owned(),
        }
    }
}
