//! From a row's fields to a problem.

use super::Reading;
use crate::answer::boxed;
use crate::problem::{Problem, Worked};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) const QUESTION: [&str; 4] = ["question", "input", "problem", "prompt"];
pub(super) const ANSWER: [&str; 3] = ["answer", "target", "final_answer"];
pub(super) const OPTIONAL: [&str; 8] = ["id", "index", "family", "difficulty", "solution", "kind", "tests", "slots"];

/// The fields of one problem as the file has them.
pub(super) struct Row {
    /// `line` or `row`.
    pub(super) unit: &'static str,
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) fields: Map<String, Value>,
}

impl Row {
    /// For messages: `line 3`.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.unit, self.number)
    }

    /// The problem, or why there is none and what would be right. The columns `reading` names as slots fill them.
    pub(super) fn problem(&self, stem: &str, reading: &Reading) -> Result<Problem, String> {
        let question = self.question()?;
        let solution = self.solution()?;
        let answer = match (self.first(&ANSWER), &solution) {
            (Some((name, value)), _) => answer(name, value)?,
            (None, Some(worked)) => boxed(&worked.solution).as_deref().unwrap_or_default().trim().to_owned(),
            (None, None) if reading.without_answer => String::new(),
            (None, None) => return Err(self.missing("answer", &ANSWER)),
        };
        if answer.is_empty() && !reading.without_answer {
            return Err(format!("the answer is empty; delete this {} or give it an answer", self.unit));
        }
        let text = |name| self.get(name).and_then(Value::as_str).map(str::to_owned);
        let whole = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        Ok(Problem {
            id: self.id(stem)?,
            question,
            answer,
            family: text("family"),
            difficulty: self.get("difficulty").and_then(whole),
            solution,
            kind: self.typed("kind").unwrap_or_default(),
            tests: self.typed("tests"),
            slots: self.slots(&reading.slots),
        })
    }

    /// The question, trimmed.
    pub(super) fn question(&self) -> Result<String, String> {
        let (name, question) = self.first(&QUESTION).ok_or_else(|| self.missing("question", &QUESTION))?;
        let Value::String(question) = question else {
            return Err(format!("`{name}` is {}; it should be text", type_name(question)));
        };
        let question = question.trim();
        if question.is_empty() {
            return Err(format!("`{name}` is empty; delete this {} or give it a question", self.unit));
        }
        Ok(question.to_owned())
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// What fills slots: the columns of their names, texts, numbers and switches, over the table `slots`.
    fn slots(&self, names: &[String]) -> BTreeMap<String, String> {
        let mut slots: BTreeMap<String, String> = self.typed("slots").unwrap_or_default();
        for name in names {
            match self.get(name) {
                Some(Value::String(text)) => drop(slots.insert(name.clone(), text.clone())),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                    drop(slots.insert(name.clone(), value.to_string()));
                }
                _ => {}
            }
        }
        slots
    }

    /// A field of the right type; other programs may have fields of this name with something else in them.
    pub(super) fn typed<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.get(name)?.clone()).ok()
    }

    pub(super) fn first<'a>(&'a self, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    fn missing(&self, what: &str, names: &[&str]) -> String {
        let has: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        format!("no {what}; name its field one of {} (fields here: {})", names.join(", "), has.join(", "))
    }

    /// A field that must be text.
    pub(super) fn text(&self, name: &str) -> Result<&str, String> {
        match self.get(name) {
            Some(Value::String(text)) => Ok(text.trim()),
            Some(other) => Err(format!("`{name}` is {}; it should be text", type_name(other))),
            None => Err(self.missing("text", &[name])),
        }
    }

    pub(super) fn id(&self, stem: &str) -> Result<String, String> {
        match (self.get("id"), self.get("index")) {
            (Some(Value::String(id)), _) if !id.trim().is_empty() => Ok(id.trim().to_owned()),
            (Some(Value::String(_)) | None, None) => Ok(format!("{stem}-{:06}", self.number)),
            (Some(Value::Number(number)), _) | (_, Some(Value::Number(number))) => Ok(format!("{stem}-{number}")),
            (_, Some(Value::String(index))) => Ok(format!("{stem}-{}", index.trim())),
            (Some(other), _) | (_, Some(other)) => {
                Err(format!("the id is {}; it should be text or a number", type_name(other)))
            }
        }
    }

    /// An object with `plan` and `solution` must be right; of plain text only a solution with a boxed answer is used.
    fn solution(&self) -> Result<Option<Worked>, String> {
        match self.get("solution") {
            Some(Value::String(text)) if boxed(text).is_some() => {
                Ok(Some(Worked { plan: Vec::new(), solution: text.trim().to_owned() }))
            }
            Some(object @ Value::Object(_)) => {
                let worked: Worked = serde_json::from_value(object.clone()).map_err(|error| {
                    format!("`solution`: {error}; it should be {{\"plan\": [texts], \"solution\": text}}")
                })?;
                if boxed(&worked.solution).is_none() {
                    return Err("`solution` has no boxed answer; end it in \\boxed{...}".to_owned());
                }
                Ok(Some(worked))
            }
            _ => Ok(None),
        }
    }
}

/// The reference answer without its working.
pub(super) fn answer(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.rsplit_once("####").map_or(text.as_str(), |(_, last)| last).trim().to_owned()),
        // `f64`'s display writes whole numbers without a fraction, and never an exponent.
        Value::Number(number) => Ok(match number.as_f64() {
            Some(float) if number.is_f64() => (float + 0.0).to_string(),
            _ => number.to_string(),
        }),
        other => Err(format!("`{name}` is {}; it should be text or a number", type_name(other))),
    }
}

/// For messages: what a value is.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
