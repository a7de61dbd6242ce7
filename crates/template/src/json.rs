//! The filter `tojson` as transformers has it: Python's `json.dumps`, with nothing escaped for HTML.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};
use std::fmt::Write;

/// Nested deeper, a value is refused.
const DEEPEST: usize = 200;

/// How `json.dumps` writes.
struct Style {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<usize>,
    item: String,
    key: String,
}

/// The filter.
#[allow(clippy::needless_pass_by_value, reason = "minijinja hands filters their arguments")]
pub(super) fn tojson(value: Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let separators: Option<Vec<String>> = kwargs.get("separators")?;
    let [item, key] = match separators.as_deref() {
        None => [if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()],
        Some([item, key]) => [item.clone(), key.clone()],
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "separators are two texts")),
    };
    let flag = |name| Ok::<bool, Error>(kwargs.get::<Option<bool>>(name)?.unwrap_or(false));
    let style = Style { ensure_ascii: flag("ensure_ascii")?, sort_keys: flag("sort_keys")?, indent, item, key };
    kwargs.assert_all_used()?;
    let mut out = String::new();
    style.write(&value, 0, &mut out)?;
    Ok(out)
}

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidOperation, "a value is nested too deep for JSON"));
        }
        match value.kind() {
            ValueKind::None | ValueKind::Undefined => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&value.to_string()),
            ValueKind::Map => {
                let mut entries = Vec::new();
                for key in value.try_iter()? {
                    entries.push((key.to_string(), value.get_item(&key)?));
                }
                if self.sort_keys {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.list(['{', '}'], &entries, depth, out, |(key, value), out| {
                    self.text(key, out);
                    out.push_str(&self.key);
                    self.write(value, depth + 1, out)
                })?;
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list(['[', ']'], &items, depth, out, |item, out| self.write(item, depth + 1, out))?;
            }
            _ => match value.as_str() {
                Some(text) => self.text(text, out),
                None => self.text(&value.to_string(), out),
            },
        }
        Ok(())
    }

    fn list<T>(
        &self,
        [open, close]: [char; 2],
        items: &[T],
        depth: usize,
        out: &mut String,
        write: impl Fn(&T, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let line = |depth: usize, out: &mut String| {
            if let Some(width) = self.indent {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', width.min(16) * depth));
            }
        };
        out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(&self.item);
            }
            line(depth + 1, out);
            write(item, out)?;
        }
        if !items.is_empty() {
            line(depth, out);
        }
        out.push(close);
        Ok(())
    }

    /// A text in quotation marks, with Python's escapes.
    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ensure_ascii && !c.is_ascii()) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a String cannot fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::tojson;
    use minijinja::{Environment, context};

    /// The expected texts are those of CPython's `json.dumps`.
    #[test]
    fn values_are_written_as_python_writes_them() {
        let mut environment = Environment::new();
        environment.add_filter("tojson", tojson);
        let cases = [
            ("{{ {'b': 1, 'a': [2.5, true, none]}|tojson }}", r#"{"b": 1, "a": [2.5, true, null]}"#),
            ("{{ {'b': 1, 'a': []}|tojson(separators=(',', ':'), sort_keys=true) }}", r#"{"a":[],"b":1}"#),
            ("{{ 'é<\u{1f600}\"\\n'|tojson }}", "\"é<\u{1f600}\\\"\\n\""),
            ("{{ 'é\u{1f600}'|tojson(ensure_ascii=true) }}", r#""\u00e9\ud83d\ude00""#),
            ("{{ [1, {'a': {}}]|tojson(indent=2) }}", "[\n  1,\n  {\n    \"a\": {}\n  }\n]"),
        ];
        for (template, expected) in cases {
            assert_eq!(environment.render_str(template, context! {}).unwrap(), expected, "{template}");
        }
        assert!(environment.render_str("{{ 1|tojson(colour=2) }}", context! {}).is_err());
    }
}
