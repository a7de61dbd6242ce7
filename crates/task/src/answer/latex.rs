//! Bringing different spellings of the same LaTeX to one.

/// Stands before the content of `\text{..}` in tidied text; never occurs in it otherwise.
pub(super) const TEXT_OPENS: char = '\u{2}';
/// Stands after the content of `\text{..}`.
pub(super) const TEXT_CLOSES: char = '\u{3}';

/// Commands whose braces hold words.
const TEXT_COMMANDS: [&str; 7] =
    ["\\text{", "\\textbf{", "\\textit{", "\\textrm{", "\\mbox{", "\\mathrm{", "\\operatorname{"];

/// Ends a row of a matrix in tidied text, where LaTeX has a double backslash.
pub(super) const ROW_ENDS: char = '\u{4}';

/// Spellings replaced one after the other; what is left of each pair becomes what is right of it.
const REPLACEMENTS: [(&str, &str); 79] = [
    ("\\\\", "\u{4}"),
    ("\\(", ""),
    ("\\)", ""),
    ("\\[", ""),
    ("\\]", ""),
    ("\\!", ""),
    ("\\,", "\u{2009}"),
    ("\\;", " "),
    ("\\:", " "),
    ("\\ ", " "),
    ("~", " "),
    ("\\qquad", " "),
    ("\\quad", " "),
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cfrac", "\\frac"),
    ("\\dbinom", "\\binom"),
    ("\\tbinom", "\\binom"),
    ("{,}", ","),
    ("\\%", "%"),
    ("\\$", "$"),
    ("\\#", "#"),
    ("\\&", "and"),
    ("^{\\circ}", "°"),
    ("^\\circ", "°"),
    ("\\circ", "°"),
    ("^\\degree", "°"),
    ("\\degree", "°"),
    ("\\mathbf{", "{"),
    ("\\boldsymbol{", "{"),
    ("\\displaystyle", ""),
    ("\\leqslant", "≤"),
    ("\\geqslant", "≥"),
    ("\\leq", "≤"),
    ("\\geq", "≥"),
    ("\\neq", "≠"),
    ("\\lbrace", "\\{"),
    ("\\rbrace", "\\}"),
    ("\\lvert", "|"),
    ("\\rvert", "|"),
    ("\\vert", "|"),
    ("\\mid", "|"),
    ("\\emptyset", "∅"),
    ("\\varnothing", "∅"),
    ("\\{\\}", "∅"),
    ("\\infinity", "\\infty"),
    ("\\setminus", "\\backslash"),
    ("\\lt ", "<"),
    ("\\gt ", ">"),
    ("<=", "≤"),
    (">=", "≥"),
    ("!=", "≠"),
    ("−", "-"),
    ("–", "-"),
    ("×", "\\times "),
    ("·", "\\cdot "),
    ("⋅", "\\cdot "),
    ("÷", "\\div "),
    ("**", "^"),
    ("π", "\\pi "),
    ("θ", "\\theta "),
    ("∞", "\\infty "),
    ("√", "\\sqrt "),
    ("∪", "\\cup "),
    ("∈", "\\in "),
    ("±", "\\pm "),
    ("²", "^2"),
    ("³", "^3"),
    ("½", "\\frac{1}{2}"),
    ("¼", "\\frac{1}{4}"),
    ("¾", "\\frac{3}{4}"),
    ("⅓", "\\frac{1}{3}"),
    ("⅔", "\\frac{2}{3}"),
    ("⅕", "\\frac{1}{5}"),
    ("⅛", "\\frac{1}{8}"),
    ("≈", "\\approx "),
    ("’", "'"),
    ("\u{a0}", " "),
    ("\u{202f}", "\u{2009}"),
];

/// Commands that are replaced only where no letter follows: `\le`, but not `\left`.
const WORDS: [(&str, &str); 6] =
    [("\\le", "≤"), ("\\ge", "≥"), ("\\ne", "≠"), ("\\lt", "<"), ("\\gt", ">"), ("\\exp", "\\exp ")];

/// The text with spacing, sizing, and style commands removed, one spelling per symbol, and the content of `\text{..}`
/// between [`TEXT_OPENS`] and [`TEXT_CLOSES`].
pub(super) fn tidy(text: &str) -> String {
    let mut tidied: String = text.chars().map(|c| if c.is_control() { ' ' } else { narrow(c) }).collect();
    tidied = plain_words(&mark_text(tidied));
    for (from, to) in REPLACEMENTS {
        if tidied.contains(from) {
            tidied = tidied.replace(from, to);
        }
    }
    for size in ["\\left", "\\right", "\\bigl", "\\bigr", "\\big", "\\Bigl", "\\Bigr", "\\Big"] {
        tidied = replace_command(&tidied, size, "");
    }
    for (word, symbol) in WORDS {
        tidied = replace_command(&tidied, word, symbol);
    }
    tidied = brace_arguments(&join_thin_spaces(&tidied));
    let mut bare = tidied.trim();
    while let Some(inner) = bare.strip_prefix('$').and_then(|rest| rest.strip_suffix('$')) {
        bare = inner.trim();
    }
    bare = bare.trim_end_matches(ROW_ENDS).trim_end();
    bare = bare.strip_suffix('.').unwrap_or(bare).trim();
    // An answer that is text as a whole, `\text{18}`, is just that text.
    let inner = bare.strip_prefix(TEXT_OPENS).and_then(|rest| rest.strip_suffix(TEXT_CLOSES));
    inner.filter(|inner| !inner.contains(TEXT_OPENS)).unwrap_or(bare).trim().to_owned()
}

/// The ASCII character that a full-width one is, as Chinese and Japanese texts have it.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from((u32::from(c) - 0xfee0) as u8),
        c => c,
    }
}

/// Formulas as they are typed, in LaTeX: `sqrt(13)`, `pi`, `inf`, `√13`, `x⁴`.
fn plain_words(text: &str) -> String {
    const SUPERSCRIPTS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let mut plain = String::with_capacity(text.len() + 8);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let (before, rest) = (&text[..at], &text[at..]);
        let begins_word = !before.ends_with(|c: char| c.is_ascii_alphabetic() || c == '\\' || c == TEXT_OPENS);
        let is_word = |word: &str| {
            begins_word
                && rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
        };
        let mut skip = |count: usize| (0..count).for_each(|_| _ = chars.next());
        if let Some(digit) = SUPERSCRIPTS.iter().position(|&superscript| superscript == c) {
            if !before.ends_with(SUPERSCRIPTS) {
                plain.push_str("^{");
            }
            plain.push(char::from(b'0' + digit as u8));
            if !rest[c.len_utf8()..].starts_with(SUPERSCRIPTS) {
                plain.push('}');
            }
        } else if c == '√' {
            let digits: String = rest[c.len_utf8()..].chars().take_while(char::is_ascii_digit).collect();
            plain.push_str(if digits.is_empty() { "\\sqrt " } else { "\\sqrt{" });
            if !digits.is_empty() {
                plain.push_str(&digits);
                plain.push('}');
                skip(digits.len());
            } else if let Some(inner) = parenthesised(&rest[c.len_utf8()..]) {
                plain.push('{');
                plain.push_str(&plain_words(inner));
                plain.push('}');
                skip(inner.chars().count() + 2);
            }
        } else if is_word("sqrt")
            && let Some(inner) = parenthesised(&rest[4..])
        {
            plain.push_str("\\sqrt{");
            plain.push_str(&plain_words(inner));
            plain.push('}');
            skip(3 + inner.chars().count() + 2);
        } else if is_word("pi") {
            plain.push_str("\\pi ");
            skip(1);
        } else if let Some(word) = ["infinity", "inf", "oo"].into_iter().find(|word| is_word(word)) {
            plain.push_str("\\infty ");
            skip(word.len() - 1);
        } else {
            plain.push(c);
        }
    }
    plain
}

/// What stands in the parentheses that a text begins with.
fn parenthesised(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(&text[1..at]),
            ')' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Replaces `\text{..}` by its content between marks. Braces inside keep it as it is.
fn mark_text(mut text: String) -> String {
    for command in TEXT_COMMANDS {
        let mut from = 0;
        while let Some(found) = text[from..].find(command).map(|at| from + at) {
            let body = found + command.len();
            match text[body..].find(['{', '}']).map(|at| body + at) {
                Some(end) if text[end..].starts_with('}') => {
                    let marked = format!(" {TEXT_OPENS}{}{TEXT_CLOSES}", text[body..end].trim());
                    text.replace_range(found..=end, &marked);
                    from = found + marked.len();
                }
                _ => from = body,
            }
        }
    }
    text
}

/// Replaces a command that no letter follows, so that `\left(` loses its size and `\leftarrow` stays.
fn replace_command(text: &str, command: &str, by: &str) -> String {
    let mut parts = text.split(command);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_longer = part.starts_with(|c: char| c.is_ascii_alphabetic());
        kept.push_str(if is_longer { command } else { by });
        kept.push_str(part);
    }
    kept
}

/// A thin space between digits groups them and goes; any other is a space.
fn join_thin_spaces(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    let mut joined = String::with_capacity(text.len());
    for (at, &c) in chars.iter().enumerate() {
        match c {
            '\u{2009}' if at > 0 && is_digit(at - 1) && (1..=3).all(|ahead| is_digit(at + ahead)) => {}
            '\u{2009}' => joined.push(' '),
            _ => joined.push(c),
        }
    }
    joined
}

/// Puts single-digit arguments of `\frac` and `\sqrt` in braces: `\frac12`, `\frac 1{2}`, `\sqrt3`.
fn brace_arguments(text: &str) -> String {
    let mut braced = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find("\\frac").into_iter().chain(rest.find("\\sqrt")).min() {
        let command = &rest[at..at + 5];
        braced.push_str(&rest[..at + 5]);
        rest = &rest[at + 5..];
        for _ in 0..if command == "\\frac" { 2 } else { 1 } {
            let argument = rest.trim_start();
            match argument.chars().next() {
                Some('{') => {
                    // An argument with braces inside stays as it is; the next one is then left alone, too.
                    let Some(end) = argument[1..].find(['{', '}']).map(|at| at + 1) else { break };
                    if !argument[end..].starts_with('}') {
                        break;
                    }
                    braced.push_str(&argument[..=end]);
                    rest = &argument[end + 1..];
                }
                Some(digit) if digit.is_ascii_digit() => {
                    braced.extend(['{', digit, '}']);
                    rest = &argument[1..];
                }
                _ => break,
            }
        }
    }
    braced + rest
}

/// A bare text in which every comma groups digits, `12,345\pi`, without these commas; any other text as it is.
pub(super) fn ungrouped(text: &str) -> String {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let groups = |at: usize| {
        let before = bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let first = at - before;
        let is_later_group = before == 3 && first > 0 && bytes[first - 1] == b',';
        let is_first_group = (1..=3).contains(&before) && bytes[first] != b'0';
        digits(at + 1) == 3 && (is_first_group || is_later_group)
    };
    let mut commas = text.match_indices(',').map(|(at, _)| at).peekable();
    if commas.peek().is_some() && commas.all(groups) && !text.contains(['(', '[', '{']) {
        return text.replace(',', "");
    }
    text.to_owned()
}

/// The tidied text without marks and without spaces that mean nothing. A space between digits (`1 1/2`) or letters
/// (`\sin x`) stays, and so does no other.
pub(super) fn canonical(tidied: &str) -> String {
    let mut kept = String::with_capacity(tidied.len());
    let mut space = false;
    for c in tidied.chars().filter(|&c| c != TEXT_OPENS && c != TEXT_CLOSES) {
        if c.is_whitespace() {
            space = true;
            continue;
        }
        let needed = kept.chars().next_back().is_some_and(|last| {
            last.is_alphabetic() && c.is_alphabetic() || last.is_numeric() && (c.is_numeric() || c == '.')
        });
        if space && needed {
            kept.push(' ');
        }
        space = false;
        kept.push(c);
    }
    for mark in ['_', '^'] {
        kept = without_single_braces(&kept, mark);
    }
    kept
}

/// `x_{1}` as `x_1`.
fn without_single_braces(text: &str, mark: char) -> String {
    let mut parts = text.split(mark);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push(mark);
        let mut chars = part.chars();
        match (chars.next(), chars.next(), chars.next()) {
            (Some('{'), Some(single), Some('}')) if single != '{' => {
                kept.push(single);
                kept.push_str(chars.as_str());
            }
            _ => kept.push_str(part),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet() {
        for (one, other) in [
            (r"\dfrac12", r"\frac{1}{2}"),
            (r"\frac 1{72}", r"\frac{1}{72}"),
            (r"$\left( 1, 2 \right)$", "(1,2)"),
            (r"2 \sqrt 3", r"2\sqrt{3}"),
            (r"112,\!875", "112,875"),
            (r"112\,875", "112875"),
            (r"60^{\circ}", r"60^\circ"),
            (r"\text{odd}", "odd"),
            (r"23{,}000", "23,000"),
        ] {
            assert_eq!(canonical(&tidy(one)), canonical(&tidy(other)), "{one} and {other}");
        }
    }

    #[test]
    fn meanings_stay_apart() {
        for (one, other) in [("1 1/2", "11/2"), ("1 .5", "1.5"), (r"\leftarrow", "arrow"), (r"\sin x", r"\sinx")] {
            assert_ne!(canonical(&tidy(one)), canonical(&tidy(other)), "{one} and {other}");
        }
    }

    #[test]
    fn unfinished_latex_is_left_alone() {
        for text in [r"\frac", r"\frac{", r"\frac{1", r"\text{", r"\text{a{b}", r"\sqrt{\frac12}", "$", "{,"] {
            tidy(text);
        }
    }
}
