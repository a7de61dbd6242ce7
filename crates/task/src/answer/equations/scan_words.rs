//! Numbers and words among the tokens.

use super::scan::{Scanner, begins_operand};
use super::token::Kind;

impl Scanner<'_> {
    /// `12`, `1,234.5`, `.5`, `1{,}000`; `2nd` is a word, `1.2.3`, `10,5` and `1e5` are nothing that is understood.
    pub(super) fn number(&mut self) {
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = digits(rest);
        let mut whole = rest[..end].to_owned();
        let groups = (1..=3).contains(&end) && !rest.starts_with('0');
        loop {
            let mark = if !groups {
                break;
            } else if rest[end..].starts_with(',') {
                1
            } else if rest[end..].starts_with("{,}") {
                3
            } else {
                break;
            };
            if digits(&rest[end + mark..]) != 3 {
                break;
            }
            whole.push_str(&rest[end + mark..end + mark + 3]);
            end += mark + 3;
        }
        let mut decimals = String::new();
        if rest[end..].starts_with('.') {
            let count = digits(&rest[end + 1..]);
            decimals.push_str(&rest[end + 1..end + 1 + count]);
            end += if count > 0 { 1 + count } else { 0 };
        }
        let after = &rest[end..];
        let goes_on = |mark: char| after.strip_prefix(mark).is_some_and(|after| digits(after) > 0);
        let letters: usize = after.chars().take_while(|c| c.is_alphabetic()).map(char::len_utf8).sum();
        let suffix = &after[..letters];
        if goes_on('.')
            || goes_on(',')
            || suffix.eq_ignore_ascii_case("e")
                && after[1..].starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'))
        {
            let more = after
                .bytes()
                .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'e' | b'E'))
                .count();
            return self.push(Kind::Odd, end + more);
        }
        if matches!(suffix, "st" | "nd" | "rd" | "th") && decimals.is_empty() {
            return self.push(Kind::Word(rest[..end + letters].to_lowercase()), end + letters);
        }
        // A time of day or a number in a series: `0730`, `007`.
        if whole.len() > 1 && whole.starts_with('0') {
            return self.push(Kind::Odd, end);
        }
        self.push(Kind::Number(whole, decimals), end);
    }

    /// A word, or an operation that is written as one.
    pub(super) fn word(&mut self) {
        let rest = self.rest();
        let is_ascii = rest.starts_with(|c: char| c.is_ascii_alphabetic());
        let mut end = 0;
        let mut chars = rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|&(_, next)| next);
            let joins = matches!(c, '\'' | '’' | '-') && at > 0 && next.is_some_and(char::is_alphabetic);
            // An index belongs to its name: `A1`, `x_1`.
            let is_index = is_ascii && at > 0 && (c.is_ascii_digit() || c == '_');
            // What multiplies may stand between digits: `2x3`.
            if at == 1 && rest.starts_with(['x', 'X']) && c.is_ascii_digit() && self.is_glued {
                break;
            }
            if !(c.is_alphabetic() || joins || is_index) {
                break;
            }
            end = at + c.len_utf8();
        }
        let after = &rest[end..];
        let word = rest[..end].replace('’', "'").to_lowercase();
        // A sign that follows speaks for an unknown: `3x - 5`.
        let is_signed = after.trim_start().starts_with(['-', '−']);
        let calculates = self.ends_operand() && begins_operand(after) && !is_signed;
        let phrase = |second: &str| after.trim_start().strip_prefix(second).filter(|rest| begins_operand(rest));
        let with = |rest: &str, longer: &str| rest.len() - longer.len();
        match word.as_str() {
            "us" | "usd" | "ca" | "au" if after.starts_with('$') => self.skip(end),
            "x" if calculates => self.push(Kind::Times(true), end),
            "times" if calculates => self.push_word(Kind::Times(false), end),
            "plus" if calculates => self.push_word(Kind::Plus, end),
            "minus" if calculates => self.push_word(Kind::Minus, end),
            "multiplied" | "divided" if self.ends_operand() => match phrase("by") {
                Some(longer) => {
                    let kind = if word == "divided" { Kind::Over } else { Kind::Times(false) };
                    self.push_word(kind, with(rest, longer));
                }
                None => self.push(Kind::Word(word), end),
            },
            "percent" if matches!(self.last(), Some(Kind::Number(..))) => self.push(Kind::Percent, end),
            "of" if calculates && self.ends_share() => self.push_word(Kind::Times(false), end),
            "equals" if self.ends_operand() => self.push(Kind::Equals, end),
            _ => self.push(Kind::Word(word), end),
        }
    }

    /// Whether the last tokens are a share of something: `20%`, `1/2`.
    fn ends_share(&self) -> bool {
        let kinds: Vec<&Kind> = self.tokens.iter().rev().take(4).map(|token| &token.kind).collect();
        match kinds[..] {
            [Kind::Percent, ..] | [Kind::Number(..), Kind::Over, Kind::Number(..)] => true,
            [Kind::Number(..), Kind::Over, Kind::Number(..), before] => !before.is_operator(),
            _ => false,
        }
    }
}
