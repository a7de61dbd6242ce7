//! Whether two answers are the same.

use super::latex::{canonical, tidy};
use super::quantity::{quantity, same_quantity};

/// Longer texts are no short answers and only equal themselves.
const MAX_ANSWER_CHARS: usize = 500;
/// Lists in lists beyond this depth are compared as text.
const MAX_DEPTH: u32 = 4;

/// Whether `answer` is the same as `reference`, both as they stand in the box.
///
/// Numbers are compared exactly, whether written as integers, decimals, fractions, mixed numbers, or percentages, with or
/// without thousands separators, currency signs, and units; lists, tuples, intervals, and sets item by item; everything
/// else as LaTeX, in which spacing, sizing, and style commands mean nothing. It errs on the side of *different*: a right
/// answer that is judged wrong costs one example, a wrong one judged right teaches the mistake.
///
/// ```
/// use espalier_task::equivalent;
/// assert!(equivalent("70000", r"\$70{,}000.00"));
/// assert!(equivalent(r"\frac{1}{2}", "0.5"));
/// assert!(!equivalent(r"\frac{1}{3}", "0.33"));
/// assert!(!equivalent("5", "5x"));
/// ```
pub fn equivalent(reference: &str, answer: &str) -> bool {
    let (reference, answer) = (reference.trim(), answer.trim());
    if reference == answer {
        return !reference.is_empty();
    }
    let is_short = |text: &str| text.chars().nth(MAX_ANSWER_CHARS).is_none();
    is_short(reference) && is_short(answer) && same(&tidy(reference), &tidy(answer), 0)
}

/// Compares two tidied texts.
fn same(reference: &str, answer: &str, depth: u32) -> bool {
    let (reference, answer) = (without_parentheses(reference), without_parentheses(answer));
    match (assigned(reference), assigned(answer)) {
        (Some((_, value)), None) => return same(value, answer, depth),
        (None, Some((_, value))) => return same(reference, value, depth),
        (Some((one, value)), Some((other, answer))) => return one == other && same(value, answer, depth),
        (None, None) => {}
    }
    match (quantity(reference), quantity(answer)) {
        (Some(reference), Some(answer)) => return same_quantity(&reference, &answer),
        (Some(_), None) | (None, Some(_)) => return false,
        (None, None) => {}
    }
    if depth < MAX_DEPTH
        && let (Some(one), Some(other)) = (List::read(reference), List::read(answer))
    {
        return one.same(&other, depth + 1);
    }
    same_text(&canonical(reference), &canonical(answer))
}

/// Equal texts; in words of more than one letter, capitals mean nothing.
fn same_text(reference: &str, answer: &str) -> bool {
    let is_word = |text: &str| text.len() > 1 && text.chars().all(|c| c.is_ascii_alphabetic() || c == ' ');
    let same_word = is_word(reference) && is_word(answer) && reference.eq_ignore_ascii_case(answer);
    !reference.is_empty() && (reference == answer || same_word)
}

/// Without the parentheses around a single item: `(5)` and `(C)`, but not `(1, 2)` and `(1)(2)`.
fn without_parentheses(mut text: &str) -> &str {
    loop {
        text = text.trim();
        let inner = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        match inner {
            Some(inner) if items(inner).is_some_and(|items| items.len() == 1) => text = inner,
            _ => return text,
        }
    }
}

/// The variable and the value of `x = ...`.
fn assigned(text: &str) -> Option<(&str, &str)> {
    let (variable, value) = text.split_once('=')?;
    let variable = variable.trim();
    let is_letter = variable.len() == 1 && variable.chars().all(|c| c.is_ascii_alphabetic());
    (is_letter && !value.contains('=') && !value.trim().is_empty()).then_some((variable, value.trim()))
}

/// Items between commas, and what encloses them.
struct List<'a> {
    opening: &'static str,
    closing: &'static str,
    items: Vec<&'a str>,
}

impl<'a> List<'a> {
    /// A list of at least two items, or an enclosed list of any length.
    fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        for opening in ["(", "[", "\\{"] {
            for closing in [")", "]", "\\}"] {
                let inner = text.strip_prefix(opening).and_then(|rest| rest.strip_suffix(closing));
                let is_set = (opening == "\\{", closing == "\\}");
                if is_set.0 == is_set.1
                    && let Some(items) = inner.and_then(items)
                    && items.len() > 1
                {
                    return Some(Self { opening, closing, items });
                }
            }
        }
        let items = items(text).filter(|items| items.len() > 1)?;
        Some(Self { opening: "", closing: "", items })
    }

    /// Order means nothing in sets and in bare lists such as the solutions of an equation.
    fn same(&self, answer: &Self, depth: u32) -> bool {
        if self.opening != answer.opening || self.closing != answer.closing || self.items.len() != answer.items.len() {
            return false;
        }
        if !matches!(self.opening, "" | "\\{") {
            return self.items.iter().zip(&answer.items).all(|(one, other)| same(one, other, depth));
        }
        let mut left: Vec<&str> = answer.items.clone();
        self.items.iter().all(|one| {
            let found = left.iter().position(|other| same(one, other, depth));
            found.map(|at| left.swap_remove(at)).is_some()
        })
    }
}

/// The items between the commas that no bracket encloses; `None` if brackets do not match up or an item is empty.
fn items(text: &str) -> Option<Vec<&str>> {
    let mut items = Vec::new();
    let (mut depth, mut from) = (0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    items.push(text[from..].trim());
    (depth == 0 && items.iter().all(|item| !item.is_empty())).then_some(items)
}
