//! The answer of a text that was not asked, or did not care, to box it.

use super::boxed::boxed;
use super::equivalent::chosen;
use super::kind::AnswerKind;
use super::latex::tidy;
use super::phrase;
use serde::{Deserialize, Serialize};

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
    /// What a task of one's own says.
    Task,
}

/// Finds the answer in `text`, or in what follows `</think>` in it: the last box; else a last line, or a number, behind
/// `####`; else what follows the last "answer is" or "answer:" that a value follows; else, for a choice, the letter that the
/// text begins with or the last one in parentheses, and for the rest the last number. For a choice each of them must choose a
/// letter, and the letter is what is returned. Of code it is the last fenced block that holds a function, or, where a
/// function's head is continued, the body: all up to the next line that is not indented.
///
/// ```
/// use espalier_task::{AnswerKind, FoundBy, extract};
/// let text = "48 / 2 = 24, so the answer is $24.";
/// assert_eq!(extract(text, AnswerKind::Math), Some(("$24".to_owned(), FoundBy::Phrase)));
/// assert_eq!(extract("It must be (C).", AnswerKind::Choice), Some(("C".to_owned(), FoundBy::Letter)));
/// ```
pub fn extract(text: &str, kind: AnswerKind) -> Option<(String, FoundBy)> {
    let text = text.rsplit_once("</think>").map_or(text, |(_, said)| said);
    if kind == AnswerKind::Code && boxed(text).is_none() {
        return Some((program(text).to_owned(), FoundBy::Program));
    }
    let owned = |found: Option<&str>| found.map(str::to_owned);
    let candidates = [
        (boxed(text).map(std::borrow::Cow::into_owned), FoundBy::Boxed),
        (owned(marked(text)), FoundBy::Mark),
        (phrase::value(text, kind).map(str::to_owned), FoundBy::Phrase),
        match kind {
            AnswerKind::Math => (owned(last_number(text)), FoundBy::LastNumber),
            AnswerKind::Choice => (owned(letter(text)), FoundBy::Letter),
            // A number is no calculation and no walk.
            AnswerKind::Countdown | AnswerKind::Route => (None, FoundBy::LastNumber),
            AnswerKind::Code => return Some((program(text).to_owned(), FoundBy::Program)),
        },
    ];
    candidates.into_iter().find_map(|(found, by)| {
        let found = found?;
        let found = found.trim();
        match kind {
            AnswerKind::Math | AnswerKind::Code | AnswerKind::Countdown | AnswerKind::Route => {
                (!found.is_empty()).then(|| (found.to_owned(), by))
            }
            AnswerKind::Choice => chosen(&tidy(found)).map(|letter| (letter.to_string(), by)),
        }
    })
}

/// What stands behind the last `####` that is no heading: GSM8K's mark is followed by a value, or by the text's last line.
fn marked(text: &str) -> Option<&str> {
    text.rmatch_indices("####").find_map(|(at, mark)| {
        let after = &text[at + mark.len()..];
        let line = after.lines().next().unwrap_or_default();
        let is_last = after.trim().len() == line.trim().len();
        let is_value = line.trim_start().starts_with(|c: char| c.is_ascii_digit() || "$-+.\\(−€£".contains(c));
        (is_last || is_value).then_some(line)
    })
}

/// The program of a text: the body that continues a head, if it begins with one; else what the last fenced block that
/// defines a function holds, or the last at all. A fence that is never closed holds all that follows it. What uses the
/// function behind it is cut off.
fn program(text: &str) -> &str {
    const FENCE: &str = "```";
    if is_inside(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()) {
        return up_to(text, |_, line| !is_inside(line));
    }
    let (mut blocks, mut rest) = (Vec::new(), text);
    while let Some((_, after)) = rest.split_once(FENCE) {
        let (block, next) = after.split_once(FENCE).unwrap_or((after, ""));
        blocks.extend(block.split_once('\n').map(|(_language, code)| code));
        rest = next;
    }
    let defines = |code: &&&str| code.lines().any(|line| line.starts_with("def "));
    let code = blocks.iter().rev().find(defines).or(blocks.last()).copied().unwrap_or(text);
    up_to(code, |before, line| {
        let goes_on =
            ["def ", "class ", "import ", "from ", "@", "#", "async def "].iter().any(|head| line.starts_with(head));
        !is_inside(line) && !goes_on && before.lines().any(|line| line.starts_with([' ', '\t']))
    })
}

/// Whether a line belongs to what stands above it.
fn is_inside(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with([' ', '\t'])
}

/// The lines before the first one that `ends` them, which is told what stands before it.
fn up_to(text: &str, ends: impl Fn(&str, &str) -> bool) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if ends(&text[..end], line) {
            break;
        }
        end += line.len();
    }
    &text[..end]
}

/// The last number, with its sign, its separators, and its denominator; exponents and indices are none.
pub(crate) fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut end = text.len();
    loop {
        end = bytes[..end].iter().rposition(u8::is_ascii_digit)? + 1;
        let mut start = number_start(bytes, end);
        if text[..start].ends_with(['^', '_']) || text[..start].ends_with("^{") || text[..start].ends_with("_{") {
            end = start;
            continue;
        }
        let mut end = end;
        if let Some((from, to)) = fraction_around(text, start, end) {
            (start, end) = (from, to);
        }
        let before = &text[..start];
        let Some(sign) = before.chars().next_back().filter(|c| matches!(c, '-' | '\u{2212}' | '\u{2013}')) else {
            return Some(&text[start..end]);
        };
        // A minus sign after a digit or a letter is a subtraction or a hyphen.
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == ')';
        let is_sign = !before[..before.len() - sign.len_utf8()].ends_with(is_part);
        return Some(&text[start - if is_sign { sign.len_utf8() } else { 0 }..end]);
    }
}

/// Where the number begins that ends at `end`.
fn number_start(bytes: &[u8], end: usize) -> usize {
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
    start
}

/// The `\frac{a}{b}` whose denominator this number is.
fn fraction_around(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let over = text[..start].strip_suffix("}{")?;
    let command = over.rfind("frac{")?;
    let from = over[..command].rfind('\\')?;
    let is_plain = over[command + 5..].chars().all(|c| c.is_ascii_digit() || "-.,".contains(c));
    (is_plain && text[end..].starts_with('}') && over.len() - command < 40).then_some((from, end + 1))
}

/// The letter that a text begins with, as a line of its own or with its option, else the last one in parentheses.
fn letter(text: &str) -> Option<&str> {
    let first = text.trim_start().lines().next()?;
    if chosen(&tidy(first)).is_some() {
        return Some(first);
    }
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
        for (text, answer) in [
            ("<think>It may be \\boxed{3}.</think> It is 4.", "4"),
            ("#### Step 2: divide\n8 / 2 = 4\n\nThe answer is 4.", "4"),
            ("#### Dividing\nSo each has 4.", "4"),
            (r"The answer is $$\frac{1}{4}$$.", r"\frac{1}{4}"),
            ("The answer is $12, not $15.", "$12"),
            ("The answer is $12 per hour because she pays $3 less.", "$12 per hour"),
            (r"**Answer: \$12 per hour.**", r"\$12 per hour"),
            ("The answer is 4<|eot_id|>", "4"),
            ("The answer is 4</s>", "4"),
            ("The answer is 4, since 2 + 2 = 4.", "4"),
            ("The answer is \"4\".", "4"),
            ("The answer is 4. I think this answer is correct.", "4"),
            ("Answer: Tom has 3 apples. He buys 1 more. So he has 4 apples.", "4"),
            ("The answer is approximately 4.", "4"),
            ("The answer is not 3. It is 4.", "4"),
            ("the answer is blue", "blue"),
            ("So it falls by \u{2212}4.", "\u{2212}4"),
            (r"Hence $y=-\frac{3}{8}$.", r"-\frac{3}{8}"),
            ("The area is 4 cm^2.", "4"),
            (r"a_1 + a_2 = 4 m^{3}", "4"),
        ] {
            assert_eq!(extract(text, AnswerKind::Math).map(|(answer, _)| answer), Some(answer.to_owned()), "{text}");
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
            ("The correct answer is option D, as shown", "D", FoundBy::Phrase),
            ("The answer is (A) because", "A", FoundBy::Phrase),
            ("Answer: **E**", "E", FoundBy::Phrase),
            ("#### B", "B", FoundBy::Mark),
            ("B", "B", FoundBy::Letter),
            ("B) twelve", "B", FoundBy::Letter),
            ("(A) is too small, so (C).", "C", FoundBy::Letter),
            ("The answer is C because (B) is too small.", "C", FoundBy::Phrase),
            ("The answer is C, not (B).", "C", FoundBy::Phrase),
            ("The correct choice is C.", "C", FoundBy::Phrase),
            ("The answer is \"C\".", "C", FoundBy::Phrase),
            ("C. leaves\n\n(B) is wrong.", "C", FoundBy::Letter),
            ("<think>(B)?</think>C", "C", FoundBy::Letter),
            (r"\boxed{C - the third}", "C", FoundBy::Boxed),
            ("[C]", "C", FoundBy::Letter),
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
            // A fence that is never closed, a use behind the function, and imports before it.
            ("```python\ndef f():\n    pass\n", "def f():\n    pass\n"),
            ("```python\ndef f():\n    pass\n```\nUse it:\n```python\nf()\n```", "def f():\n    pass\n"),
            ("    return a + b\n```\nUse it:\n```python\nprint(1)\n```", "    return a + b\n"),
            (
                "from typing import List\n\ndef f():\n    pass\n\nprint(f())\n",
                "from typing import List\n\ndef f():\n    pass\n\n",
            ),
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
