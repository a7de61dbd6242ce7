//! Lists, tuples, intervals, sets, unions, and matrices.

use super::equivalent::same;
use super::latex::{ROW_ENDS, TEXT_CLOSES, TEXT_OPENS};
use super::relation::assigned;

/// Items between separators, and what encloses them.
pub(super) struct List {
    opening: &'static str,
    closing: &'static str,
    items: Vec<String>,
}

/// A list of at least two items, or an enclosed list of any length. `1 \pm \sqrt{2}` is a list of two.
pub(super) fn list(text: &str) -> Option<List> {
    let text = text.trim();
    let owned = |items: Vec<&str>| items.into_iter().map(str::to_owned).collect::<Vec<_>>();
    for opening in ["(", "[", "\\{"] {
        for closing in [")", "]", "\\}"] {
            let inner = text.strip_prefix(opening).and_then(|rest| rest.strip_suffix(closing));
            let is_set = (opening == "\\{", closing == "\\}");
            if is_set.0 == is_set.1
                && let Some(items) = inner.and_then(items)
                && (items.len() > 1 || is_set.0)
            {
                let items = if is_set.0 { spread(owned(items)) } else { owned(items) };
                return Some(List { opening, closing, items });
            }
        }
    }
    let items = spread(owned(items(&with_commas(text))?));
    (items.len() > 1).then_some(List { opening: "", closing: "", items })
}

/// The parts of `A \cup B`, and of inequalities joined by "or".
pub(super) fn union(text: &str) -> Option<List> {
    let is_inequality = text.contains(INEQUALITY_SIGNS);
    let text = if is_inequality { replace_word(text, "or", "\\cup ") } else { text.to_owned() };
    let parts = split_at_depth_0(&text, |rest| rest.starts_with("\\cup").then_some("\\cup".len()))?;
    let items: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    (items.len() > 1 && items.iter().all(|item| !item.is_empty())).then_some(List {
        opening: "\\cup",
        closing: "",
        items,
    })
}

impl List {
    /// Order means nothing in sets, unions, and bare lists such as the solutions of an equation, unless only one of two
    /// lists says what its items are: `x = 1, y = 2` and `1, 2`.
    pub(super) fn same(&self, answer: &Self, depth: u32) -> bool {
        if self.opening != answer.opening || self.closing != answer.closing || self.items.len() != answer.items.len() {
            return false;
        }
        let names = |items: &[String]| items.iter().filter(|item| assigned(item).is_some()).count();
        let is_ordered = matches!(self.opening, "(" | "[") || names(&self.items) != names(&answer.items);
        if is_ordered {
            return self.items.iter().zip(&answer.items).all(|(one, other)| same(one, other, depth));
        }
        let mut left: Vec<&String> = answer.items.iter().collect();
        self.items.iter().all(|one| {
            let found = left.iter().position(|other| same(one, other, depth));
            found.map(|at| left.swap_remove(at)).is_some()
        })
    }
}

/// A matrix, a determinant, or a column.
pub(super) struct Matrix {
    environment: String,
    rows: Vec<Vec<String>>,
}

impl Matrix {
    /// A text that is one matrix environment as a whole. Round and square brackets mean the same.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).trim();
        let (name, rest) = text.strip_prefix("\\begin{")?.split_once('}')?;
        let mut body = rest.strip_suffix('}')?.strip_suffix(name)?.strip_suffix("\\end{")?;
        let environment = match name {
            "pmatrix" | "bmatrix" | "matrix" => "matrix".to_owned(),
            "vmatrix" | "Bmatrix" | "Vmatrix" => name.to_owned(),
            "array" => {
                // The columns' alignment, `{cc}`.
                body = body.trim_start().strip_prefix('{')?.split_once('}')?.1;
                "matrix".to_owned()
            }
            _ => return None,
        };
        if body.contains("\\begin") {
            return None;
        }
        let rows = body.trim().trim_end_matches(ROW_ENDS).split(ROW_ENDS);
        let rows = rows.map(|row| row.split('&').map(|cell| cell.trim().to_owned()).collect()).collect();
        Some(Self { environment, rows })
    }

    pub(super) fn same(&self, answer: &Self, depth: u32) -> bool {
        let same_row = |(one, other): (&Vec<String>, &Vec<String>)| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other, depth))
        };
        self.environment == answer.environment
            && self.rows.len() == answer.rows.len()
            && self.rows.iter().zip(&answer.rows).all(same_row)
    }
}

/// The items between the commas that no bracket encloses; `None` if brackets do not match up or an item is empty.
pub(super) fn items(text: &str) -> Option<Vec<&str>> {
    let items = split_at_depth_0(text, |rest| rest.starts_with(',').then_some(1))?;
    items.iter().all(|item| !item.is_empty()).then_some(items)
}

/// Splits where `separator` finds one, outside all brackets, and trims the parts; `None` if brackets do not match up.
/// A separator is given by its length at the start of the rest of the text.
pub(super) fn split_at_depth_0(text: &str, separator: impl Fn(&str) -> Option<usize>) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ if depth == 0 && at >= from => {
                if let Some(length) = separator(&text[at..]) {
                    parts.push(text[from..at].trim());
                    from = at + length;
                }
            }
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    parts.push(text[from..].trim());
    (depth == 0).then_some(parts)
}

const INEQUALITY_SIGNS: [char; 5] = ['<', '>', '≤', '≥', '≠'];

/// `1 and 2` and `1 or 2` as `1, 2`. Between inequalities the words mean what they say and stay.
fn with_commas(text: &str) -> String {
    if text.contains(INEQUALITY_SIGNS) {
        return text.to_owned();
    }
    replace_word(&replace_word(text, "and", ", "), "or", ", ")
}

/// Replaces a word between spaces, plain or marked as text, and the comma before it.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut text = text.to_owned();
    for word in [format!(" {TEXT_OPENS}{word}{TEXT_CLOSES}"), format!(" {word} ")] {
        text = text.replace(&format!(",{word}"), by).replace(&word, by);
    }
    text
}

/// Whether words join several relations in one text.
pub(super) fn has_joints(text: &str) -> bool {
    ["and", "or"].into_iter().any(|word| replace_word(text, word, "") != text)
}

/// `a \pm b` as two items. With two signs it is not known which belong together, so it stays one.
fn spread(items: Vec<String>) -> Vec<String> {
    let both = |item: String| {
        if item.matches("\\pm").count() != 1 || item.contains("\\mp") {
            return vec![item];
        }
        ["+", "-"].into_iter().map(|sign| item.replace("\\pm", sign)).collect()
    };
    items.into_iter().flat_map(both).collect()
}
