//! Parts that both formats read steps with.

use super::StepText;
use crate::answer::boxed;

/// The solution that `body` is, if it has a boxed answer that is not empty.
pub(super) fn solution(body: &str) -> StepText {
    match boxed(body).as_deref().map(str::trim) {
        Some(answer) if !answer.is_empty() => StepText::Solution { answer: answer.to_owned() },
        _ => StepText::Malformed,
    }
}

/// Number of headings `{word} {digits}:` in `text`, wherever they stand.
fn headings(text: &str, word: &str) -> usize {
    text.match_indices(word).filter(|(at, _)| heading_end(&text[*at..], word).is_some()).count()
}

/// Where the body begins after a heading `{word} {digits}:` at the very start of `text`.
fn heading_end(text: &str, word: &str) -> Option<usize> {
    let after_word = text.strip_prefix(word)?.strip_prefix(' ')?;
    let after_digits = after_word.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_digits = after_digits.len() < after_word.len();
    let body = after_digits.strip_prefix(':')?;
    has_digits.then_some(text.len() - body.len())
}

/// Whether `text` is one heading `{word} {digits}:` at its start, a body, and no other heading.
pub(super) fn is_one_headed_step(text: &str, word: &str) -> bool {
    let has_body = heading_end(text, word).is_some_and(|end| !text[end..].trim().is_empty());
    has_body && headings(text, word) == 1
}

/// Whether any of `tags` occurs in `text`.
pub(super) fn has_any(text: &str, tags: &[&str]) -> bool {
    tags.iter().any(|tag| text.contains(tag))
}

/// Splits a worked solution into steps: at line breaks, or at sentence ends if it is one line. What comes after the
/// first boxed answer stays with it, so the boxed answer is in the last step and only there.
pub(super) fn solution_steps(solution: &str) -> Vec<String> {
    let lines: Vec<&str> = solution.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let several_lines = lines.len() > 1;
    let pieces: Vec<&str> = if several_lines { lines } else { solution.trim().split_inclusive(". ").collect() };
    let last = pieces.iter().position(|piece| piece.contains("\\boxed")).unwrap_or(pieces.len().saturating_sub(1));
    let mut steps: Vec<String> = pieces[..last].iter().map(|piece| piece.trim().to_owned()).collect();
    let joint = if several_lines { "\n" } else { "" };
    steps.extend((last < pieces.len()).then(|| pieces[last..].join(joint).trim().to_owned()));
    steps
}
