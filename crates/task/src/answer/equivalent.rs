//! Whether two answers are the same.

use super::collection::{Matrix, items, list, union};
use super::expression::{parse, same_expression};
use super::latex::{TEXT_OPENS, canonical, tidy, ungrouped};
use super::quantity::{quantity, same_quantity};
use super::relation::{as_interval, assigned, same_relation, stated};
use super::unit::unit;

/// Longer texts are no short answers and only equal themselves.
const MAX_ANSWER_CHARS: usize = 500;
/// Lists in lists beyond this depth are compared as text.
const MAX_DEPTH: u32 = 4;

/// Whether `answer` is the same as `reference`, both as they stand in the box.
///
/// - Numbers are compared exactly, whether written as integers, decimals, fractions, mixed numbers, or percentages, with or
///   without thousands separators, currency signs, and units. A unit that only one of them has is understood; two must
///   agree.
/// - Formulas are compared as functions of their symbols: exactly where they are rational, else by their values at random
///   points.
/// - Tuples, intervals, matrices, sets, unions, lists, equations, and inequalities are compared part by part.
/// - A reference that is a capital letter is a choice: `(B)` and `B. 12 cm` choose `B`.
/// - Everything else is compared as LaTeX, in which spacing, sizing, and style commands mean nothing.
///
/// It errs on the side of *different*: a right answer that is judged wrong costs one example, a wrong one judged right
/// teaches the mistake. Any two texts are compared in milliseconds.
///
/// ```
/// use espalier_task::equivalent;
/// assert!(equivalent("70000", r"\$70{,}000.00"));
/// assert!(equivalent(r"\frac{1}{2}", "0.5"));
/// assert!(equivalent(r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt 2}"));
/// assert!(equivalent(r"x \ge 5", r"[5, \infty)"));
/// assert!(!equivalent(r"\frac{1}{3}", "0.33"));
/// assert!(!equivalent("5", "5x"));
/// ```
pub fn equivalent(reference: &str, answer: &str) -> bool {
    let (reference, answer) = (reference.trim(), answer.trim());
    if reference == answer {
        return !reference.is_empty();
    }
    let is_short = |text: &str| text.chars().nth(MAX_ANSWER_CHARS).is_none();
    if !(is_short(reference) && is_short(answer)) {
        return false;
    }
    let (reference, answer) = (tidy(reference), tidy(answer));
    if let Some(letter) = chosen(&reference).filter(|_| reference.trim_matches(['(', ')']).chars().count() == 1) {
        return chosen(&answer) == Some(letter);
    }
    let (reference, answer) = (ungrouped(&reference), ungrouped(&answer));
    same(&reference, without_glued_unit(&reference, &answer), 0)
}

/// The letter that an answer to a multiple-choice question chooses: `B`, `(B)`, `[B]`, `B.`, `B) 12 cm`, `B - 12 cm`. Not one
/// that is denied, nor one of several.
pub(super) fn chosen(tidied: &str) -> Option<char> {
    let is_quote = |c: char| matches!(c, '*' | TEXT_OPENS | '"' | '“' | '\'' | '`');
    let text = tidied.trim().trim_start_matches(is_quote);
    let (enclosed, text) = match text.strip_prefix(['(', '[']) {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let mut chars = text.chars();
    let letter = chars.next().filter(char::is_ascii_uppercase)?;
    let rest = chars.as_str();
    let option = match rest.chars().next() {
        None => "",
        Some(')' | ']' | super::latex::TEXT_CLOSES) => &rest[1..],
        Some('.' | ':' | ',' | '*' | '"') if !enclosed => &rest[1..],
        Some('”') if !enclosed => &rest['”'.len_utf8()..],
        Some(' ') if !enclosed && rest.trim_start().starts_with(['-', '–', '—']) => rest,
        _ => return None,
    };
    (!denies(option) && !names_another(rest)).then_some(letter)
}

/// Whether what stands behind a letter speaks against it, or of it: `C) is wrong`.
fn denies(option: &str) -> bool {
    let option = option.trim_start_matches([')', ']', '.', ',', ' ', super::latex::TEXT_CLOSES]);
    ["is ", "isn't", "was ", "cannot ", "can't ", "and ", "or ", "nor ", "but "]
        .iter()
        .any(|word| option.starts_with(word))
}

/// Whether another letter follows as a choice: `(A), (B)`, `A. and C.`, `A, C`.
fn names_another(rest: &str) -> bool {
    let is_letter = |text: &str| text.len() == 1 && text.starts_with(|c: char| c.is_ascii_uppercase());
    let listed = |part: &str| is_letter(part.trim());
    let marked = |word: &str| {
        let letter = word.trim_matches(['(', ')', '[', ']', '.', ':', '*']);
        letter.len() < word.len() && is_letter(letter)
    };
    rest.split([',', '/', '&']).skip(1).any(listed)
        || rest.split(|c: char| c.is_whitespace() || matches!(c, ',' | '/' | '&')).any(marked)
}

/// After these a degree sign belongs to their argument.
const FUNCTIONS_OF_ANGLES: [&str; 3] = ["\\sin", "\\cos", "\\tan"];

/// Compares two tidied texts.
pub(super) fn same(reference: &str, answer: &str, depth: u32) -> bool {
    let (reference, answer) = (without_parentheses(reference), without_parentheses(answer));
    if depth < MAX_DEPTH
        && let Some(verdict) = same_as_stated(reference, answer, depth + 1)
    {
        return verdict;
    }
    match (assigned(reference), assigned(answer)) {
        (Some((_, value)), None) if !answer.contains('=') => return same(value, answer, depth),
        (None, Some((_, value))) if !reference.contains('=') => return same(reference, value, depth),
        (Some((one, value)), Some((other, answer))) if one == other => return same(value, answer, depth),
        _ => {}
    }
    if let (Some(reference), Some(answer)) = (quantity(reference), quantity(answer)) {
        return same_quantity(&reference, &answer);
    }
    if depth < MAX_DEPTH {
        if let Some(verdict) = same_relation(reference, answer, depth + 1) {
            return verdict;
        }
        match (as_interval(reference), as_interval(answer)) {
            (Some(reference), None) => return same(&reference, answer, depth + 1),
            (None, Some(answer)) => return same(reference, &answer, depth + 1),
            _ => {}
        }
        if let (Some(one), Some(other)) = (union(reference), union(answer)) {
            return one.same(&other, depth + 1);
        }
        if let (Some(one), Some(other)) = (list(reference), list(answer)) {
            return one.same(&other, depth + 1);
        }
        if let (Some(one), Some(other)) = (Matrix::read(reference), Matrix::read(answer)) {
            return one.same(&other, depth + 1);
        }
    }
    same_formula(reference, answer).unwrap_or(false) || same_text(&canonical(reference), &canonical(answer))
}

/// Compares a value with one that is given by name or twice: `AB = 5`, `x = 2 + 3 = 5`, `\frac{1}{2} = 0.5`,
/// `\frac{2}{3} \approx 0.667`. `None` where only one side of it says something, or both do.
fn same_as_stated(reference: &str, answer: &str, depth: u32) -> Option<bool> {
    match (stated(reference), stated(answer)) {
        (None, Some(values)) if is_value(reference) => Some(values.iter().all(|value| same(reference, value, depth))),
        (Some(values), None) if is_value(answer) => Some(values.iter().all(|value| same(value, answer, depth))),
        _ => None,
    }
}

fn is_value(text: &str) -> bool {
    !text.contains(['=', '<', '>', '≤', '≥', '≠']) && !text.contains("\\approx")
}

/// Compares formulas with the units that may follow them; `None` if either is no formula, or without a verdict.
fn same_formula(reference: &str, answer: &str) -> Option<bool> {
    if is_derivative(reference) != is_derivative(answer) {
        return Some(false);
    }
    let ((reference, unit), (answer, other_unit)) = (measured(reference), measured(answer));
    if unit.is_some() && other_unit.is_some() && unit != other_unit {
        return Some(false);
    }
    same_expression(&parse(reference)?, &parse(answer)?)
}

/// Whether a `\frac{dy}{dx}` stands in a text: its d is no factor that cancels.
fn is_derivative(text: &str) -> bool {
    let begins = |rest: &str| {
        rest.strip_prefix('d').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '}'))
    };
    text.split("\\frac{")
        .skip(1)
        .any(|rest| begins(rest) && rest.split_once("}{").is_some_and(|(_, under)| begins(under)))
}

/// A formula and the unit after it: `6\pi` and `cm^2`.
fn measured(text: &str) -> (&str, Option<String>) {
    let may_begin = |&(at, c): &(usize, char)| at > 0 && (c == TEXT_OPENS || c == ' ' || c == '°' || c == '%');
    for (at, _) in text.char_indices().filter(may_begin) {
        if let Some(Some(unit)) = unit(&text[at..])
            && !matches!(unit.as_str(), "%" | "dollar")
            && !(unit == "degree" && FUNCTIONS_OF_ANGLES.iter().any(|name| text.contains(name)))
        {
            return (text[..at].trim_end(), Some(unit));
        }
    }
    match text.strip_prefix('$') {
        Some(rest) => (rest.trim_start(), Some("dollar".to_owned())),
        None => (text, None),
    }
}

/// `5cm` as `5 cm`, which only means the same where the reference has no letters that it could be a product of.
fn without_glued_unit<'a>(reference: &str, answer: &'a str) -> &'a str {
    const GLUED: [&str; 17] =
        ["cm", "mm", "km", "kg", "mg", "ml", "mL", "ft", "lb", "lbs", "oz", "mph", "hrs", "hr", "min", "sec", "km/h"];
    let number = answer.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_glued = GLUED.contains(&&answer[number.len()..]) && number.ends_with(|c: char| c.is_ascii_digit());
    let has_letters = reference.contains(|c: char| c.is_alphabetic());
    if is_glued && !has_letters { number } else { answer }
}

/// Equal texts; in words, capitals mean nothing. Few letters may be symbols, in which they do: `CO` and `Co`.
fn same_text(reference: &str, answer: &str) -> bool {
    const SHORT: [&str; 4] = ["no", "yes", "odd", "up"];
    let is_word = |text: &str| {
        let is_short = || SHORT.iter().any(|word| text.eq_ignore_ascii_case(word));
        (text.len() > 3 || is_short()) && text.chars().all(|c| c.is_ascii_alphabetic() || c == ' ')
    };
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
