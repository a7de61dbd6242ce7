//! From text to tokens.

use super::token::{Kind, Token};

/// The tokens of a text.
pub(super) fn scan(text: &str) -> Vec<Token> {
    let mut scanner = Scanner { text, at: 0, tokens: Vec::new(), is_glued: false, depth: 0 };
    scanner.run(text.len());
    scanner.tokens
}

pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) tokens: Vec<Token>,
    /// Whether nothing stands between the last token and this place.
    pub(super) is_glued: bool,
    pub(super) depth: u32,
}

impl<'a> Scanner<'a> {
    pub(super) fn run(&mut self, end: usize) {
        while self.at < end {
            self.step(end);
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Adds a token of so many bytes.
    pub(super) fn push(&mut self, kind: Kind, bytes: usize) {
        let at = self.at..self.at + bytes;
        self.at = at.end;
        self.tokens.push(Token { kind, at, is_glued: self.is_glued, is_word: false });
        self.is_glued = true;
    }

    /// Adds an operator that is written as a word of so many bytes.
    pub(super) fn push_word(&mut self, kind: Kind, bytes: usize) {
        self.push(kind, bytes);
        if let Some(token) = self.tokens.last_mut() {
            token.is_word = true;
        }
    }

    /// Passes over so many bytes as over a space.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.is_glued = false;
    }

    pub(super) fn last(&self) -> Option<&Kind> {
        self.tokens.last().map(|token| &token.kind)
    }

    pub(super) fn ends_operand(&self) -> bool {
        self.last().is_some_and(Kind::ends_operand)
    }

    fn step(&mut self, end: usize) {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return };
        let width = c.len_utf8();
        match c {
            '\n' => self.end_line(),
            c if c.is_whitespace() || matches!(c, '&' | '\u{200b}') => self.skip(width),
            '0'..='9' => self.number(),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            '.' if rest.starts_with("..") => {
                self.push(Kind::Odd, rest.len() - rest.trim_start_matches('.').len());
            }
            // A calculation that breaks off.
            '.' | ',' if self.last().is_some_and(Kind::is_operator) => self.push(Kind::Odd, 1),
            '…' | '±' | '√' | '_' | '@' | '~' | '`' if !(c == '~' && rest.starts_with("~=")) => {
                self.push(Kind::Odd, width);
            }
            '~' => self.push(Kind::About, 2),
            '=' => self.equals(),
            '≈' | '≅' | '≃' => self.push(Kind::About, width),
            '<' => self.angle(),
            '+' if rest.starts_with("+=") => self.push(Kind::Break('='), 2),
            '+' => self.push(Kind::Plus, 1),
            '-' | '−' | '–' => self.minus(c),
            '*' | '∗' | '✱' => self.star(),
            '×' | '·' | '⋅' | '•' | '✕' | '✖' if self.ends_operand() => self.push(Kind::Times(false), width),
            '/' if rest.starts_with("//") => self.push(Kind::Odd, 2),
            '/' | '÷' | '∕' | '⁄' => self.slash(width),
            '^' => self.power(),
            '²' | '³' => self.raised(c, width),
            '½' | '¼' | '¾' | '⅓' | '⅔' | '⅕' | '⅛' => self.vulgar(c, width),
            '(' | '[' | '{' => self.push(Kind::Open(false), width),
            ')' | ']' | '}' => self.push(Kind::Close, width),
            '%' if matches!(self.last(), Some(Kind::Number(..))) => self.push(Kind::Percent, 1),
            '$' if rest.starts_with("$$") => self.push(Kind::Break('$'), 2),
            '$' | '€' | '£' | '₹' | '¥' => self.currency(width),
            '°' => self.skip(width),
            '!' if self.is_factorial(&rest[1..]) => self.push(Kind::Odd, 1),
            '¢' => self.push(Kind::Word("¢".to_owned()), width),
            ':' | '!' if rest[1..].starts_with('=') => self.push(Kind::Break(c), 2),
            ':' if self.is_glued
                && matches!(self.last(), Some(Kind::Number(..)))
                && rest[1..].starts_with(|c: char| c.is_ascii_digit()) =>
            {
                self.push(Kind::Odd, 1);
            }
            '\\' => self.command(end),
            c if c.is_alphabetic() => self.word(),
            _ => self.push(Kind::Break(c), width),
        }
    }

    /// A line ends a calculation, unless the next one goes on with it.
    pub(super) fn end_line(&mut self) {
        let rest = self.rest();
        let next = rest[1..].trim_start_matches([' ', '\t', '\r', '&']);
        let goes_on =
            (next.starts_with('=') && !next.starts_with("==")) || next.starts_with('≈') || next.starts_with("\\approx");
        let is_open = self.last().is_some_and(Kind::is_sign);
        if goes_on || is_open && !next.starts_with('\n') {
            self.skip(1);
        } else {
            self.push(Kind::Break('\n'), 1);
        }
    }

    fn equals(&mut self) {
        let rest = self.rest();
        match rest.as_bytes().get(1) {
            Some(b'=') => {
                let all = rest.len() - rest.trim_start_matches('=').len();
                self.push(Kind::Break('='), all);
            }
            Some(b'>' | b'<' | b'/' | b'!') => self.push(Kind::Break('='), 2),
            _ => self.push(Kind::Equals, 1),
        }
    }

    /// `<`, `<=`, or a tag, `</step>`.
    fn angle(&mut self) {
        let rest = self.rest();
        let is_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '|');
        let name = rest[1..].find(|c| !is_tag(c)).unwrap_or(rest.len() - 1);
        let is_tag = name > 0
            && name < 40
            && rest[1 + name..].starts_with('>')
            && !rest[1..].starts_with(|c: char| c.is_ascii_digit());
        let bytes = if is_tag { name + 2 } else { 1 + usize::from(rest[1..].starts_with('=')) };
        self.push(Kind::Break(if is_tag { '\n' } else { '<' }), bytes);
    }

    /// A minus, a dash between words, an arrow, or what marks an item of a list.
    fn minus(&mut self, c: char) {
        let after = &self.rest()[c.len_utf8()..];
        if after.starts_with('>') || after.starts_with('-') {
            return self.push(Kind::Break(c), c.len_utf8() + 1);
        }
        let letters = after.chars().take_while(|c| c.is_alphabetic()).count();
        if self.is_glued && letters >= 3 && self.ends_operand() {
            // `a 5-day week`: the word goes on.
            self.skip(c.len_utf8());
            return;
        }
        self.push(Kind::Minus, c.len_utf8());
    }

    /// A factor follows, or the star is of a list or of bold type.
    fn star(&mut self) {
        let rest = self.rest();
        let count = rest.chars().take_while(|c| matches!(c, '*' | '∗' | '✱')).count();
        let bytes: usize = rest.chars().take(count).map(char::len_utf8).sum();
        let after = &rest[bytes..];
        let touches = self.is_glued && !after.starts_with(' ');
        let is_factor = self.ends_operand() && begins_operand(after) && (count == 1 || count == 2 && touches);
        match (is_factor, count) {
            (true, 1) => self.push(Kind::Times(false), bytes),
            (true, _) => self.push(Kind::Power, bytes),
            // A product with something unknown, or a slip: `3 * n`, `3 * + 6`.
            (false, 1)
                if self.ends_operand()
                    && after.trim_start().starts_with(|c: char| c.is_alphanumeric() || "+*/×÷=\\".contains(c)) =>
            {
                self.push(Kind::Odd, bytes);
            }
            _ => self.skip(bytes),
        }
    }

    /// A quotient, or `per`: `$12/hour`.
    fn slash(&mut self, width: usize) {
        let after = &self.rest()[width..];
        let letters: usize = after.chars().take_while(|c| c.is_alphabetic()).map(char::len_utf8).sum();
        if self.ends_operand() && after[..letters].chars().count() >= 2 {
            self.push(Kind::Word(after[..letters].to_lowercase()), width + letters);
        } else {
            self.push(Kind::Over, width);
        }
    }

    /// `^2` raises a number; behind a unit, `cm^2`, it belongs to that.
    fn power(&mut self) {
        if !matches!(self.last(), Some(Kind::Word(_))) {
            return self.push(Kind::Power, 1);
        }
        let after = &self.rest()[1..];
        let is_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let braced = after.strip_prefix('{').filter(|inner| is_digit(inner) && inner[1..].starts_with('}'));
        match braced {
            Some(_) => self.skip(4),
            None if is_digit(after) && !is_digit(&after[1..]) => self.skip(2),
            None => self.push(Kind::Odd, 1),
        }
    }

    /// `5²`, `cm²`.
    fn raised(&mut self, c: char, width: usize) {
        if matches!(self.last(), Some(Kind::Word(_))) {
            return self.skip(width);
        }
        self.push(Kind::Power, 0);
        let digit = if c == '²' { "2" } else { "3" };
        self.push(Kind::Number(digit.to_owned(), String::new()), width);
    }

    fn vulgar(&mut self, c: char, width: usize) {
        let (over, under) = match c {
            '½' => ("1", "2"),
            '¼' => ("1", "4"),
            '¾' => ("3", "4"),
            '⅓' => ("1", "3"),
            '⅔' => ("2", "3"),
            '⅕' => ("1", "5"),
            _ => ("1", "8"),
        };
        let number = |digits: &str| Kind::Number(digits.to_owned(), String::new());
        for kind in [Kind::Open(true), number(over), Kind::Over, number(under)] {
            self.push(kind, 0);
        }
        self.push(Kind::Close, width);
    }

    pub(super) fn currency(&mut self, width: usize) {
        let after = self.rest()[width..].trim_start_matches([' ', '-']);
        if after.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '<') {
            self.push(Kind::Currency, width);
        } else {
            // The end of a formula, or a mark behind an amount.
            self.at += width;
        }
    }

    fn is_factorial(&self, after: &str) -> bool {
        let after = after.trim_start();
        let calculates = after.starts_with(['=', '+', '-', '*', '/', '≈', ')', '\\', '×', '!']);
        self.is_glued && calculates && matches!(self.last(), Some(Kind::Number(..) | Kind::Close))
    }
}

/// Whether a text begins like an operand, behind spaces.
pub(super) fn begins_operand(text: &str) -> bool {
    let text = text.trim_start_matches([' ', '\t', '$', '€', '£', '-', '−']);
    let mut chars = text.chars();
    match chars.next() {
        Some('.') => chars.next().is_some_and(|c| c.is_ascii_digit()),
        Some('(' | '[' | '{' | '½' | '¼' | '¾' | '⅓' | '⅔' | '⅕' | '⅛') => true,
        Some('\\') => {
            ["frac", "dfrac", "tfrac", "sqrt", "$", "(", "left"].iter().any(|name| text[1..].starts_with(name))
        }
        first => first.is_some_and(|c| c.is_ascii_digit()),
    }
}
