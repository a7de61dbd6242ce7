//! The boxed answer of a solution.

use std::borrow::Cow;

/// Commands that draw a box.
const BOXES: [&str; 2] = ["\\boxed", "\\fbox"];

/// The content of the last box that has one: `\boxed{..}` with nested braces, also with a space before them, or without
/// braces, as LaTeX allows (`\boxed 5`, `\boxed\frac12`), and `\fbox` likewise. Boxes in a row with nothing but "and", "or"
/// and commas between them are one list. An empty box and one whose braces do not close are passed over.
///
/// ```
/// # use espalier_task::boxed;
/// assert_eq!(boxed(r"So \boxed{1}, no, \boxed{\frac{1}{2}}.").as_deref(), Some(r"\frac{1}{2}"));
/// assert_eq!(boxed(r"The roots are \boxed{2} and \boxed{3}.").as_deref(), Some("2, 3"));
/// assert_eq!(boxed(r"So \boxed{\frac{1}{2}"), None);
/// ```
pub fn boxed(text: &str) -> Option<Cow<'_, str>> {
    let all: Vec<Found> = starts(text).filter_map(|(start, body)| found(text, start, body)).collect();
    let mut last = all.len().checked_sub(1)?;
    // A box within a box follows nothing.
    while last > 0 && text.get(all[last - 1].end..all[last].start).is_some_and(is_joint) {
        last -= 1;
    }
    match &all[last..] {
        [one] => Some(one.content.into()),
        several => Some(several.iter().map(|one| one.content.trim()).collect::<Vec<_>>().join(", ").into()),
    }
}

struct Found<'a> {
    start: usize,
    end: usize,
    content: &'a str,
}

/// Where each box begins, and where its command ends.
fn starts(text: &str) -> impl Iterator<Item = (usize, usize)> {
    text.match_indices('\\').filter_map(|(at, _)| {
        let command = BOXES.into_iter().find(|command| text[at..].starts_with(command))?;
        let body = at + command.len();
        (!text[body..].starts_with(|c: char| c.is_ascii_alphabetic())).then_some((at, body))
    })
}

fn found(text: &str, start: usize, body: usize) -> Option<Found<'_>> {
    let from = text.len() - text[body..].trim_start_matches(' ').len();
    let end = if text[from..].starts_with('{') { from + group(&text[from..])? } else { from + bare(&text[from..]) };
    let content = if text[from..].starts_with('{') { &text[from + 1..end - 1] } else { &text[from..end] };
    (!content.trim().is_empty()).then_some(Found { start, end, content })
}

/// Bytes of the group in braces that the text begins with; nothing if it does not close.
fn group(text: &str) -> Option<usize> {
    let (mut open, mut escaped) = (0_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => open += 1,
            '}' if open == 1 => return Some(at + 1),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Bytes of an argument without braces: a command with its own arguments, or all up to a space or the formula's end.
fn bare(text: &str) -> usize {
    if let Some(rest) = text.strip_prefix('\\') {
        let name = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let mut at = 1 + name;
        while let Some(length) = text[at..].starts_with('{').then(|| group(&text[at..])).flatten() {
            at += length;
        }
        return at + text[at..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len() - at);
    }
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '$' | '\\' | '}' | '<')).unwrap_or(text.len());
    text[..end].trim_end_matches(['.', ',', ';', ':', ')']).len()
}

/// Whether nothing but joints stands between two boxes.
fn is_joint(between: &str) -> bool {
    let words = between.replace(['$', ','], " ");
    let words: Vec<&str> = words.split_whitespace().collect();
    words.iter().all(|word| matches!(*word, "and" | "or")) && (!words.is_empty() || between.contains(','))
}
