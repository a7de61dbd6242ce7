//! Headings of steps with a number in them: `Plan {n}:`.

use super::keys::Keys;
use espalier_settings::OutOfRange;

const NUMBER: &str = "{n}";

/// What stands before and behind the number.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    before: String,
    behind: String,
}

impl Heading {
    pub fn of(keys: &mut Keys) -> Result<Option<Heading>, OutOfRange> {
        let Some(text) = keys.text("heading")? else { return Ok(None) };
        match text.split_once(NUMBER) {
            Some((before, behind)) if !before.is_empty() && !behind.contains(NUMBER) => {
                Ok(Some(Heading { before: before.to_owned(), behind: behind.to_owned() }))
            }
            _ => Err(keys.wrong("heading", format!("{text:?}"), "a text with one {n} behind it, as in \"Step {n}:\"")),
        }
    }

    /// The heading of the step `number`, counted from 1.
    pub fn written(&self, number: usize) -> String {
        format!("{}{number}{}", self.before, self.behind)
    }

    /// Whether `text` is one heading at its start, a body, and no other heading.
    pub fn leads(&self, text: &str) -> bool {
        let has_body = self.end(text).is_some_and(|end| !text[end..].trim().is_empty());
        has_body && text.match_indices(&*self.before).filter(|(at, _)| self.end(&text[*at..]).is_some()).count() == 1
    }

    /// Where the body begins after a heading at the very start of `text`.
    fn end(&self, text: &str) -> Option<usize> {
        let after = text.strip_prefix(&*self.before)?;
        let after_digits = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let has_digits = after_digits.len() < after.len();
        let body = after_digits.strip_prefix(&*self.behind)?;
        has_digits.then_some(text.len() - body.len())
    }
}
