//! The answer of a text that was not asked, or did not care, to box it.

use super::boxed::boxed;
use super::equivalent::chosen;
use super::latex::tidy;
use serde::{Deserialize, Serialize};

/// What an answer is, as far as finding it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// A number, a formula, a word.
    #[default]
    Math,
    /// A letter of a multiple choice.
    Choice,
    /// A Python program, judged by running its tests.
    Code,
}

/// What gave an answer away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// `\boxed{...}`.
    Boxed,
    /// `#### ...`, as in GSM8K.
    Mark,
    /// "The answer is ...".
    Phrase,
    /// The text is a choice's letter, or ends in one in parentheses.
    Letter,
    /// The last number.
    LastNumber,
    /// The last fenced block, or the text up to the next unindented line.
    Program,
}

/// Finds the answer in `text`: the last box; else what follows the last `####`; else what follows the last "answer is" or
/// "answer:"; else, for a choice, the letter that the text is or the last one in parentheses, and for the rest the last
/// number. For a choice each of them must choose a letter, and the letter is what is returned. Of code it is the last
/// fenced block, or, where a function's head is continued, the body: all up to the next line that is not indented.
///
/// ```
/// use espalier_task::{AnswerKind, FoundBy, extract};
/// let text = "48 / 2 = 24, so the answer is $24.";
/// assert_eq!(extract(text, AnswerKind::Math), Some(("$24".to_owned(), FoundBy::Phrase)));
/// assert_eq!(extract("It must be (C).", AnswerKind::Choice), Some(("C".to_owned(), FoundBy::Letter)));
/// ```
pub fn extract(text: &str, kind: AnswerKind) -> Option<(String, FoundBy)> {
    let marked = text.rsplit_once("####").map(|(_, after)| after.lines().next().unwrap_or_default());
    let candidates = [
        (boxed(text), FoundBy::Boxed),
        (marked, FoundBy::Mark),
        (after_phrase(text), FoundBy::Phrase),
        match kind {
            AnswerKind::Math => (last_number(text), FoundBy::LastNumber),
            AnswerKind::Choice => (last_letter(text).or(Some(text)), FoundBy::Letter),
            AnswerKind::Code => return Some((program(text).to_owned(), FoundBy::Program)),
        },
    ];
    candidates.into_iter().find_map(|(found, by)| {
        let found = found?.trim();
        match kind {
            AnswerKind::Math | AnswerKind::Code => (!found.is_empty()).then(|| (found.to_owned(), by)),
            AnswerKind::Choice => chosen(&tidy(without_option(found))).map(|letter| (letter.to_string(), by)),
        }
    })
}

/// The program of a text.
fn program(text: &str) -> &str {
    const FENCE: &str = "```";
    let fenced = || {
        let (before, _) = text.rsplit_once(FENCE)?;
        let (_, block) = before.rsplit_once(FENCE)?;
        block.split_once('\n').map(|(_language, code)| code)
    };
    fenced().unwrap_or_else(|| {
        let mut end = 0;
        for line in text.split_inclusive('\n') {
            let is_inside = end == 0 || line.trim().is_empty() || line.starts_with([' ', '\t']);
            if !is_inside {
                break;
            }
            end += line.len();
        }
        &text[..end]
    })
}

/// `option B` and `choice B` as `B`.
fn without_option(text: &str) -> &str {
    let start = ["option ", "choice ", "Option ", "Choice "].into_iter().find_map(|word| text.strip_prefix(word));
    start.unwrap_or(text).trim_start()
}

/// What follows the last "answer is" or "answer:" up to the end of its sentence, without the marks around it.
fn after_phrase(text: &str) -> Option<&str> {
    // ASCII lower case keeps every byte where it is.
    let lower = text.to_ascii_lowercase();
    let after = ["answer is", "answer:", "answer**:"]
        .into_iter()
        .filter_map(|phrase| Some(lower.rfind(phrase)? + phrase.len()));
    let mut rest = text[after.max()?..].trim_start_matches([':', '*', ' ', '\n']);
    if let Some(inside) = rest.strip_prefix("\\(").or_else(|| rest.strip_prefix("\\["))
        && let Some((formula, _)) = inside.split_once("\\)").or_else(|| inside.split_once("\\]"))
    {
        return Some(formula);
    }
    if let Some(inside) = rest.strip_prefix('$')
        && let Some((formula, _)) = inside.split_once('$')
        && !formula.contains('\n')
    {
        return Some(formula);
    }
    rest = rest.lines().next()?;
    rest = rest.find(". ").map_or(rest, |end| &rest[..end]);
    Some(rest.trim().trim_end_matches(['.', '*', '!', ' ', '<']))
}

/// The last number, with its sign, its separators, and its denominator.
fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let is_part = |at: usize| {
        let digit_after = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let digit_before = at > 0 && bytes[at - 1].is_ascii_digit();
        match bytes[at] {
            b'0'..=b'9' => true,
            b'.' => digit_after,
            b',' | b'/' => digit_before && digit_after,
            _ => false,
        }
    };
    let mut start = end;
    while start > 0 && is_part(start - 1) {
        start -= 1;
    }
    // A minus sign after a digit or a letter is a subtraction or a hyphen.
    let has_sign = start > 0 && bytes[start - 1] == b'-';
    let is_negative =
        has_sign && (start == 1 || !(bytes[start - 2].is_ascii_alphanumeric() || bytes[start - 2] == b')'));
    Some(&text[start - usize::from(is_negative)..end])
}

/// The last letter in parentheses.
fn last_letter(text: &str) -> Option<&str> {
    let enclosed = |&(at, _): &(usize, &str)| text[at..].chars().nth(2) == Some(')');
    let (at, _) = text.rmatch_indices('(').find(enclosed)?;
    text.get(at..at + text[at..].find(')')? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_what_people_mean() {
        for (text, answer, by) in [
            (r"So \boxed{5}. The answer is 6.", "5", FoundBy::Boxed),
            ("2 + 3 = 5\n#### 5\n", "5", FoundBy::Mark),
            ("#### 4 apples\nThat is 5.", "4 apples", FoundBy::Mark),
            ("The answer is 12 cm. It was easy.", "12 cm", FoundBy::Phrase),
            ("The final answer is: **42**.", "42", FoundBy::Phrase),
            ("Answer: 3.5", "3.5", FoundBy::Phrase),
            ("**Answer**: 7", "7", FoundBy::Phrase),
            (r"the answer is $\frac{1}{2}$, which is small", r"\frac{1}{2}", FoundBy::Phrase),
            (r"The answer is \(x^2\).", "x^2", FoundBy::Phrase),
            ("The answer is $1,234.50.", "$1,234.50", FoundBy::Phrase),
            ("The answer is 3. No, the answer is 4.", "4", FoundBy::Phrase),
            ("So she has 1,200 left.", "1,200", FoundBy::LastNumber),
            ("it is -3.", "-3", FoundBy::LastNumber),
            ("10-3", "3", FoundBy::LastNumber),
            ("one of 3/4 of them", "3/4", FoundBy::LastNumber),
            ("COVID-19", "19", FoundBy::LastNumber),
        ] {
            assert_eq!(extract(text, AnswerKind::Math), Some((answer.to_owned(), by)), "{text}");
        }
        for text in ["", "none", r"\boxed{}"] {
            assert_eq!(extract(text, AnswerKind::Math), None, "{text}");
        }
    }

    #[test]
    fn finds_letters() {
        for (text, letter, by) in [
            (r"\boxed{\text{(B)}}", "B", FoundBy::Boxed),
            (r"\boxed{12}. The answer is C.", "C", FoundBy::Phrase),
            ("The correct answer is option D, as shown", "", FoundBy::Phrase),
            ("The answer is (A) because", "A", FoundBy::Phrase),
            ("Answer: **E**", "E", FoundBy::Phrase),
            ("#### B", "B", FoundBy::Mark),
            ("B", "B", FoundBy::Letter),
            ("B) twelve", "B", FoundBy::Letter),
            ("(A) is too small, so (C).", "C", FoundBy::Letter),
        ] {
            let found = extract(text, AnswerKind::Choice);
            let wanted = (!letter.is_empty()).then(|| (letter.to_owned(), by));
            assert_eq!(found, wanted, "{text}");
        }
        for text in ["", "A man", "Because", "12"] {
            assert_eq!(extract(text, AnswerKind::Choice), None, "{text}");
        }
    }

    #[test]
    fn finds_programs() {
        let body = "    return a + b\n";
        for (text, program) in [
            ("    return a + b\n\ndef other():\n    pass", "    return a + b\n\n"),
            (
                "Like this:\n```python\ndef add(a, b):\n    return a + b\n```\nDone.",
                "def add(a, b):\n    return a + b\n",
            ),
            (body, body),
            ("", ""),
            ("```", "```"),
        ] {
            assert_eq!(extract(text, AnswerKind::Code), Some((program.to_owned(), FoundBy::Program)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_fails(text in ".{0,60}", parts in prop::collection::vec(prop_oneof![
            Just("####"), Just("answer is"), Just("Answer:"), Just("$"), Just("\\("), Just("("), Just(")"), Just("é"), Just("-"),
            Just("1"), Just(","), Just("/"), Just("."), Just("B"), Just("```"), Just("\n"), Just(" "), Just("\\boxed{"), Just("}"),
        ], 0..20)) {
            for text in [text, parts.concat()] {
                extract(&text, AnswerKind::Math);
                extract(&text, AnswerKind::Choice);
                extract(&text, AnswerKind::Code);
            }
        }
    }
}
