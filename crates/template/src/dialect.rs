//! What templates of transformers say that minijinja does not read, said in its words.
//!
//! Only what stands in `{{ .. }}` and `{% .. %}` is changed, never a text.

/// The template in minijinja's words: `{% generation %}`, which marks what is trained on, becomes a condition that always
/// holds, and `'text' % values` the filter `format`.
pub(super) fn translated(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let (text, tagged) = rest.split_at(start);
        out.push_str(text);
        let end =
            if tagged.starts_with("{#") { tagged.find("#}").map_or(tagged.len(), |at| at + 2) } else { end(tagged) };
        let (tag, after) = tagged.split_at(end);
        if tag.starts_with("{#") {
            out.push_str(tag);
        } else if let Some(condition) = generation(tag) {
            out.push_str(&condition);
        } else {
            formats(tag, &mut out);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Bytes of the tag that the text begins with; braces within its strings do not end it.
fn end(tag: &str) -> usize {
    let close = if tag.starts_with("{{") { "}}" } else { "%}" };
    let (mut at, mut depth) = (2, 0_usize);
    let bytes = tag.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'\'' | b'"' => at = string_end(bytes, at),
            _ if depth == 0 && tag.as_bytes()[at..].starts_with(close.as_bytes()) => return at + 2,
            b'{' => (at, depth) = (at + 1, depth + 1),
            b'}' => (at, depth) = (at + 1, depth.saturating_sub(1)),
            _ => at += 1,
        }
    }
    tag.len()
}

/// The place behind the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while next < bytes.len() && bytes[next] != bytes[at] {
        next += if bytes[next] == b'\\' { 2 } else { 1 };
    }
    (next + 1).min(bytes.len())
}

/// The condition in the place of `{% generation %}` or `{% endgeneration %}`, with their signs for white space.
fn generation(tag: &str) -> Option<String> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let word = inner.trim_matches(['-', '+']).trim();
    let condition = match word {
        "generation" => "if true",
        "endgeneration" => "endif",
        _ => return None,
    };
    Some(tag.replacen(word, condition, 1))
}

/// Adds the tag with `|format(values)` for `% values` behind each string, where the values are one name or a tuple.
fn formats(tag: &str, out: &mut String) {
    let bytes = tag.as_bytes();
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        if !matches!(bytes[at], b'\'' | b'"') {
            at += 1;
            continue;
        }
        at = string_end(bytes, at);
        let Some(values) = tag[at..].trim_start().strip_prefix('%').filter(|values| !values.starts_with('}')) else {
            continue;
        };
        let values = values.trim_start();
        out.push_str(&tag[copied..at]);
        out.push_str("|format");
        copied = tag.len() - values.len();
        if !values.starts_with('(') {
            let length = name_end(values);
            out.push_str(&format!("({})", &values[..length]));
            copied += length;
        }
        at = copied;
    }
    out.push_str(&tag[copied..]);
}

/// Bytes of the name that the text begins with, with its attributes and indices: `messages[0]['role'].x`.
fn name_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'[' => (at, depth) = (at + 1, depth + 1),
            b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b'\'' | b'"' if depth > 0 => at = string_end(bytes, at),
            byte if depth > 0 || byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'.') => {
                at += 1;
            }
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::translated;

    #[test]
    fn generation_is_a_condition_and_keeps_its_white_space_control() {
        assert_eq!(
            translated("a {%- generation -%}{{ x }}{% endgeneration +%} generation"),
            "a {%- if true -%}{{ x }}{% endif +%} generation"
        );
        for same in
            ["{% set generation = 1 %}", "{{ 'generation' }}", "{# {% generation %} #}", "{{ {'a': 1} }}", "%}{{"]
        {
            assert_eq!(translated(same), same);
        }
    }

    #[test]
    fn strings_are_formatted_by_the_filter() {
        assert_eq!(translated("{{ 'Q%d: %s' % (1, x.y) }}"), "{{ 'Q%d: %s'|format(1, x.y) }}");
        assert_eq!(translated("{% set a = \"%s's\" % m.role ~ 'b' %}"), "{% set a = \"%s's\"|format(m.role) ~ 'b' %}");
        assert_eq!(translated("{{ 'a' % m[0]['r]']|upper }}"), "{{ 'a'|format(m[0]['r]'])|upper }}");
        for same in ["{{ 'a%}b' ~ 5 % 2 }}", "{{ 7 % 3 }} 50 % 'x'", "{%- if 'a' -%}", "{{ 'a' }}%"] {
            assert_eq!(translated(same), same);
        }
    }
}
