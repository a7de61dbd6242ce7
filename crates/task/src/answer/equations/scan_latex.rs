//! Commands of LaTeX among the tokens.

use super::scan::Scanner;
use super::token::Kind;
use super::words::is_in;

/// Deepest nesting of fractions and roots.
const MAX_DEPTH: u32 = 6;
/// Longest part of a fraction, in bytes.
const MAX_PART: usize = 200;

/// Commands of LaTeX that change nothing of what is said.
const QUIET: &str = "left right big Big bigl bigr Bigl Bigr displaystyle boxed mathbf boldsymbol quad qquad limits cancel underline \
    textstyle";

/// Relations and arrows: what stands on their other side is no part of a calculation on this one.
const RELATIONS: &str = "neq ne le leq ge geq lt gt equiv implies Rightarrow rightarrow to therefore because iff Leftrightarrow \
    longrightarrow in newline item hline mid land lor propto";

impl Scanner<'_> {
    /// A command of LaTeX.
    pub(super) fn command(&mut self, end: usize) {
        let rest = self.rest();
        let letters = rest[1..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = &rest[1..=letters];
        let bytes = 1 + name.len();
        match name {
            "" => {
                let Some(c) = rest[1..].chars().next() else { return self.push(Kind::Break('\\'), 1) };
                let bytes = 1 + c.len_utf8();
                match c {
                    ',' | ';' | ':' | '!' | ' ' | '(' | ')' => self.skip(bytes),
                    '%' if matches!(self.last(), Some(Kind::Number(..))) => self.push(Kind::Percent, bytes),
                    '$' => {
                        self.at += 1;
                        self.currency(1);
                    }
                    // The line's own end decides.
                    '\\' if rest[2..].trim_start_matches([' ', '\t', '\r']).starts_with('\n') => self.skip(2),
                    '\\' => {
                        self.at += 1;
                        self.end_line();
                    }
                    _ => self.push(Kind::Break(c), bytes),
                }
            }
            "times" | "cdot" | "ast" => self.push(Kind::Times(false), bytes),
            "div" => self.push(Kind::Over, bytes),
            "approx" | "simeq" | "cong" => self.push(Kind::About, bytes),
            "frac" | "dfrac" | "tfrac" | "cfrac" => self.fraction(bytes, end),
            "sqrt" => self.push(Kind::Root, bytes),
            "text" | "mathrm" | "mbox" | "textbf" | "textit" | "textrm" | "operatorname" => self.marked_text(bytes),
            "begin" | "end" => {
                let braces = rest[bytes..].find('}').filter(|&at| at < 40).map_or(0, |at| at + 1);
                self.push(Kind::Break('\n'), bytes + braces);
            }
            name if is_in(QUIET, name) => self.skip(bytes),
            name if is_in(RELATIONS, name) => self.push(Kind::Break('<'), bytes),
            _ => self.push(Kind::Odd, bytes),
        }
    }

    /// `\frac{a}{b}`, as `((a)/(b))`.
    fn fraction(&mut self, bytes: usize, end: usize) {
        let parts = (|| {
            let over = braced(self.text, self.at + bytes, end)?;
            Some((over.clone(), braced(self.text, over.end + 1, end)?))
        })();
        let Some((over, under)) = parts.filter(|_| self.depth < MAX_DEPTH) else {
            return self.push(Kind::Odd, bytes);
        };
        self.depth += 1;
        self.push(Kind::Open(true), bytes);
        for (part, sign) in [(over, true), (under, false)] {
            self.push(Kind::Open(false), part.start - self.at);
            self.run(part.end);
            self.at = part.end;
            self.push(Kind::Close, 1);
            if sign {
                self.push(Kind::Over, 0);
            }
        }
        self.push(Kind::Close, 0);
        self.depth -= 1;
    }

    /// `\text{ apples}`.
    fn marked_text(&mut self, bytes: usize) {
        let Some(inner) = braced(self.text, self.at + bytes, self.text.len()) else {
            return self.push(Kind::Odd, bytes);
        };
        let words = &self.text[inner.clone()];
        if words.contains(|c: char| !(c.is_alphabetic() || matches!(c, ' ' | '.' | ',' | '/' | '-' | '\''))) {
            self.push(Kind::Odd, inner.end + 1 - self.at);
            return;
        }
        self.skip(inner.start - self.at);
        let word = words.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty());
        if let Some(word) = word {
            // One word stands for all of them.
            self.push(Kind::Word(word.to_lowercase()), words.len() + 1);
            self.is_glued = false;
        } else {
            self.skip(words.len() + 1);
        }
    }
}

/// What stands between the braces that follow `at`.
fn braced(text: &str, at: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let rest = text.get(at..end)?;
    let start = at + 1 + rest.len() - rest.trim_start().len();
    if !rest.trim_start().starts_with('{') {
        return None;
    }
    let mut depth = 0_usize;
    for (offset, byte) in text[start..end].bytes().enumerate().take(MAX_PART) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(start..start + offset),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}
