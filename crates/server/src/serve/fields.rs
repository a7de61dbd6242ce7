//! The fields of a request: each is read once, checked, and taken away; what is left at the end nobody understands, and is
//! refused by name rather than ignored.

use super::error::Refusal;
use axum::http::StatusCode;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// The fields that nobody has read yet. A field that is null counts as left out.
pub(crate) struct Fields(Map<String, Value>);

/// Fields that change nothing of an answer.
const IDLE: [&str; 5] = ["user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key"];

impl Fields {
    /// Reads a body.
    pub fn of(body: &[u8]) -> Result<Fields, Refusal> {
        let refused = |problem: String| Refusal::body(StatusCode::BAD_REQUEST, problem);
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Fields(fields)),
            Ok(other) => Err(refused(format!("the body is {}, but must be an object", kind(&other)))),
            Err(error) => Err(refused(format!("the body is not JSON: {error}"))),
        }
    }

    /// Takes a field.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, &other, "a text")),
        }
    }

    /// One text or several.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        const WANTED: &str = "a text or a list of texts";
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(texts)) => {
                let text =
                    |value| if let Value::String(text) = value { Ok(text) } else { Err(wrong(name, &value, WANTED)) };
                texts.into_iter().map(text).collect()
            }
            Some(other) => Err(wrong(name, &other, WANTED)),
        }
    }

    /// A whole number.
    pub fn whole(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_u64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ if *range.end() == u64::MAX => Err(wrong(name, &value, format!("a whole number from {}", range.start()))),
            _ => Err(wrong(name, &value, format!("a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A number within a range that is said in words.
    pub fn number(&mut self, name: &str, words: &str, holds: impl Fn(f64) -> bool) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number.is_finite() && holds(number) => Ok(Some(number)),
            _ => Err(wrong(name, &value, format!("a number {words}"))),
        }
    }

    /// True or false; false where it is left out.
    pub fn switch(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(is_set)) => Ok(is_set),
            Some(other) => Err(wrong(name, &other, "true or false")),
        }
    }

    /// Takes fields that have no meaning here but one value each which says so.
    pub fn only(&mut self, neutral: &[(&str, &[Value])]) -> Result<(), Refusal> {
        for (name, values) in neutral {
            if let Some(given) = self.take(name).filter(|given| !values.iter().any(|value| is_same(value, given))) {
                let shown = values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
                return Err(Refusal::field(name, format!("is {}, but can only be {shown} here", shown_value(&given))));
            }
        }
        Ok(())
    }

    /// Refuses what nobody has read.
    pub fn end(mut self) -> Result<(), Refusal> {
        self.0.retain(|name, value| !value.is_null() && !IDLE.contains(&name.as_str()));
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(100).collect();
                Err(Refusal::field(&shown, "is not a field that this server understands here; leave it out"))
            }
        }
    }
}

/// A value of the wrong type or out of range.
pub(crate) fn wrong(name: &str, value: &Value, wanted: impl Display) -> Refusal {
    Refusal::field(name, format!("is {}, but must be {wanted}", shown_value(value)))
}

/// Numbers are equal whether they are written with a point or not.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// A value as a message shows it: as it is if it is small, else its type.
fn shown_value(value: &Value) -> String {
    match value {
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::String(text) if text.len() <= 40 => value.to_string(),
        Value::Array(of) if of.is_empty() => "[]".to_owned(),
        other => kind(other).to_owned(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: &Value) -> Fields {
        Fields::of(value.to_string().as_bytes()).unwrap()
    }

    fn message(refusal: Refusal) -> String {
        refusal.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn what_is_read_is_taken_and_what_is_left_is_refused_by_name() {
        let mut given = fields(&json!({ "n": 3, "stop": ["a", "b"], "user": "me", "x": null, "stream": true }));
        assert_eq!(given.whole("n", 1..=5), Ok(Some(3)));
        assert_eq!(given.whole("n", 1..=5), Ok(None));
        assert_eq!(given.texts("stop").unwrap(), ["a", "b"]);
        assert_eq!(given.switch("stream"), Ok(true));
        given.end().unwrap();
        let refusal = fields(&json!({ "n": 3, "logit_bias": {} })).end().unwrap_err();
        assert_eq!(refusal.json()["error"]["param"], "logit_bias");
    }

    #[test]
    fn wrong_types_and_ranges_are_named() {
        for (value, shown) in
            [(json!(-1), "-1"), (json!(6), "6"), (json!(2.5), "2.5"), (json!("3"), "\"3\""), (json!([3]), "a list")]
        {
            let refusal = fields(&json!({ "n": value })).whole("n", 1..=5).unwrap_err();
            assert_eq!(message(refusal), format!("n is {shown}, but must be a whole number from 1 to 5"));
        }
        let refusal = fields(&json!({ "top_p": 1.5 })).number("top_p", "above 0", |x| x <= 1.0).unwrap_err();
        assert_eq!(message(refusal), "top_p is 1.5, but must be a number above 0");
        for body in ["", "[]", "{", "{\"a\": 1} x", "\"a\"", "{\"a\": 1e999}", "{\"a\": \"\\ud800\"}"] {
            assert_eq!(Fields::of(body.as_bytes()).err().unwrap().status, StatusCode::BAD_REQUEST, "{body}");
        }
        assert!(Fields::of(b"{\"a\": \"\xff\"}").is_err());
        let deep = "[".repeat(100_000);
        assert!(Fields::of(format!("{{\"a\": {deep}").as_bytes()).is_err());
    }

    #[test]
    fn a_field_without_meaning_may_have_its_neutral_value() {
        let neutral: &[(&str, &[Value])] = &[("presence_penalty", &[json!(0)]), ("tools", &[json!([])])];
        fields(&json!({ "presence_penalty": 0.0, "tools": [] })).only(neutral).unwrap();
        let refusal = fields(&json!({ "presence_penalty": 0.5 })).only(neutral).unwrap_err();
        assert_eq!(message(refusal), "presence_penalty is 0.5, but can only be 0 here");
    }
}
