//! What a terminal is shown of texts that others wrote: ids, questions, steps, and what servers say.

use std::borrow::Cow;
use std::fmt::Arguments;

/// A text in one line that only shows itself: what would move the cursor, set a title or a colour, end the line, or turn
/// the words around it, is written as its escape, `\n` or `\u{1b}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_command(character) { line.extend(character.escape_default()) } else { line.push(character) }
    }
    Cow::Owned(line)
}

/// Prints a line on the standard error.
#[expect(clippy::print_stderr, reason = "the one place that prints there")]
pub fn say(line: Arguments<'_>) {
    eprintln!("{}", shown(&line.to_string()));
}

/// Control characters, and the marks of Unicode that order text or end lines.
fn is_command(character: char) -> bool {
    let marks =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_text_reaches_a_terminal() {
        let cases = [
            ("plain, Größe 5 €, 数 and \u{1f600}", "plain, Größe 5 €, 数 and \u{1f600}"),
            ("a\nb\tc\r", r"a\nb\tc\r"),
            ("\u{1b}[31mred\u{1b}]0;title\u{7}", r"\u{1b}[31mred\u{1b}]0;title\u{7}"),
            ("\u{9b}2J\u{7f}\0", r"\u{9b}2J\u{7f}\u{0}"),
            ("1\u{202e}2\u{2069}3\u{200f}\u{2028}", r"1\u{202e}2\u{2069}3\u{200f}\u{2028}"),
        ];
        for (text, line) in cases {
            assert_eq!(shown(text), line);
        }
    }
}
