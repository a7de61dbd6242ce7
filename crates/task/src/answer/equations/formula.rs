//! From tokens to a formula.

use super::operand::is_unknown;
use super::token::{Kind, Token};
use super::words::begins;

/// Words behind a number that may still speak of it.
const NEAR: usize = 3;

/// Writes tokens as a formula, if they are one.
pub(super) struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The formula, and the same with percentages taken as the numbers before their signs.
    pub text: String,
    pub plain: String,
    open: usize,
    pub operators: usize,
    pub numbers: usize,
    pub percentages: usize,
    pub adds: bool,
    pub words: Vec<String>,
    /// The words since the last number.
    pub behind: Vec<String>,
    pub units: Vec<String>,
    /// The last operator: `a / b / c` is `a / (b / c)` for some.
    last: Option<&'a Kind>,
    pub has_letter: bool,
    pub is_ambiguous: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Reader<'a> {
        Reader {
            tokens,
            at: 0,
            text: String::new(),
            plain: String::new(),
            open: 0,
            operators: 0,
            numbers: 0,
            percentages: 0,
            adds: false,
            words: Vec::new(),
            behind: Vec::new(),
            units: Vec::new(),
            last: None,
            has_letter: false,
            is_ambiguous: false,
        }
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.plain.push_str(text);
    }

    fn peek(&self) -> Option<&'a Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    /// operand { operator operand }, to the end.
    pub(super) fn read(&mut self) -> Option<()> {
        loop {
            self.operand()?;
            loop {
                match self.peek() {
                    None => return (self.open == 0).then_some(()),
                    Some(Kind::Close) => {
                        self.open = self.open.checked_sub(1)?;
                        self.write(")");
                        self.at += 1;
                    }
                    Some(Kind::Word(_)) => self.unit()?,
                    Some(Kind::Power) => self.exponent()?,
                    Some(_) => break,
                }
            }
            self.operator()?;
        }
    }

    /// A number, with what belongs to it, or what opens a group.
    fn operand(&mut self) -> Option<()> {
        let mut signs = 0;
        loop {
            match self.peek()? {
                Kind::Minus | Kind::Plus => {
                    let is_first = self.text.is_empty() || self.text.ends_with('(');
                    let is_minus = self.peek() == Some(&Kind::Minus);
                    signs += 1;
                    // `5 - -3`; more signs are a slip or a line.
                    if signs > 1 {
                        return None;
                    }
                    self.at += 1;
                    match (is_minus, is_first) {
                        (false, _) => {}
                        (true, true) => self.write("-"),
                        (true, false) => return self.negative(),
                    }
                }
                Kind::Currency => {
                    self.units.push("$".to_owned());
                    self.at += 1;
                }
                Kind::Root => {
                    self.at += 1;
                    self.operators += 1;
                    match (
                        self.peek()?,
                        self.tokens.get(self.at + 1).map(|token| &token.kind),
                        self.tokens.get(self.at + 2),
                    ) {
                        (Kind::Open(_), Some(Kind::Number(whole, decimals)), Some(Token { kind: Kind::Close, .. })) => {
                            let number = decimal(whole, decimals);
                            self.write(&format!("\\sqrt{{{number}}}"));
                            self.numbers += 1;
                            self.at += 3;
                            return Some(());
                        }
                        _ => return None,
                    }
                }
                Kind::Open(_) => {
                    self.open += 1;
                    self.write("(");
                    self.at += 1;
                    signs = 0;
                }
                Kind::Number(..) => return self.number(),
                _ => return None,
            }
        }
    }

    /// The operand behind a sign that stands behind an operator, as in `5 - -3`: a number.
    fn negative(&mut self) -> Option<()> {
        while self.peek()? == &Kind::Currency {
            self.units.push("$".to_owned());
            self.at += 1;
        }
        self.write("(-");
        self.number()?;
        self.write(")");
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let Kind::Number(whole, decimals) = self.peek()? else { return None };
        self.at += 1;
        self.numbers += 1;
        let number = decimal(whole, decimals);
        if decimals.is_empty() && self.mixed(whole)? {
            return Some(());
        }
        if self.peek() == Some(&Kind::Percent) {
            self.at += 1;
            self.percentages += 1;
            self.text.push_str(&format!("({number}/100)"));
            self.plain.push_str(&number);
        } else {
            self.write(&number);
        }
        Some(())
    }

    /// The fraction of a mixed number, `2 1/2`, `2½`, `2\frac{1}{2}`.
    fn mixed(&mut self, whole: &str) -> Option<bool> {
        let kinds: Vec<&Kind> = self.tokens[self.at..].iter().take(9).map(|token| &token.kind).collect();
        let (over, under, count) = match kinds[..] {
            [Kind::Number(over, none), Kind::Over, Kind::Number(under, no), ..]
                if none.is_empty() && no.is_empty() && self.tokens[self.at + 1].is_glued =>
            {
                (over, under, 3)
            }
            [Kind::Open(true), Kind::Number(over, _), Kind::Over, Kind::Number(under, _), Kind::Close, ..] => {
                (over, under, 5)
            }
            [
                Kind::Open(true),
                Kind::Open(_),
                Kind::Number(over, none),
                Kind::Close,
                Kind::Over,
                Kind::Open(_),
                Kind::Number(under, no),
                Kind::Close,
                Kind::Close,
            ] if none.is_empty() && no.is_empty() => (over, under, 9),
            _ => return Some(false),
        };
        let is_proper = over.parse::<u64>().ok()? < under.parse::<u64>().ok()?;
        self.operators += 1;
        self.at += count;
        self.write(&format!("({whole}+{over}/{under})"));
        is_proper.then_some(true)
    }

    /// A word behind an operand, as a unit; letters that may stand for numbers are none.
    fn unit(&mut self) -> Option<()> {
        let Some(Kind::Word(word)) = self.peek() else { return None };
        let follows = |at: usize| self.tokens.get(at).map(|token| &token.kind);
        let is_first = !matches!(self.at.checked_sub(1).and_then(follows), Some(Kind::Word(_)));
        if begins(word) || is_unknown(self.tokens, self.at, word) {
            return None;
        }
        if is_first {
            self.units.push(word.clone());
        }
        if is_first {
            self.behind.clear();
        }
        if self.behind.len() < NEAR {
            self.words.push(word.clone());
        }
        self.behind.push(word.clone());
        self.at += 1;
        Some(())
    }

    fn exponent(&mut self) -> Option<()> {
        // A unit stands between: `3 m ^ 2` was read before.
        if matches!(self.tokens.get(self.at.checked_sub(1)?)?.kind, Kind::Word(_)) {
            return None;
        }
        self.at += 1;
        self.operators += 1;
        let mut sign = "";
        if self.peek()? == &Kind::Minus {
            sign = "-";
            self.at += 1;
        }
        let digits = match (self.peek()?, self.tokens.get(self.at + 1), self.tokens.get(self.at + 2)) {
            (Kind::Number(whole, decimals), ..) if decimals.is_empty() => {
                self.at += 1;
                whole
            }
            (
                Kind::Open(_),
                Some(Token { kind: Kind::Number(whole, decimals), .. }),
                Some(Token { kind: Kind::Close, .. }),
            ) if decimals.is_empty() && sign.is_empty() => {
                self.at += 3;
                whole
            }
            _ => return None,
        };
        self.write(&format!("^{{{sign}{digits}}}"));
        Some(())
    }

    fn operator(&mut self) -> Option<()> {
        let before = self.tokens.get(self.at.checked_sub(1)?).map(|token| &token.kind);
        let token = &self.tokens[self.at];
        let divides_again = token.kind == Kind::Over && self.last == Some(&Kind::Over);
        self.is_ambiguous |= divides_again || self.behind.len() > NEAR;
        self.last = Some(&token.kind);
        self.behind.clear();
        let (text, width) = match &token.kind {
            Kind::Plus => ("+", 1),
            Kind::Minus => ("-", 1),
            Kind::Times(is_letter) => {
                self.has_letter |= is_letter;
                ("*", 1)
            }
            Kind::Over => ("/", 1),
            // A product without a sign: `2(3 + 4)`, `(1 + 2)(3 + 4)`.
            Kind::Open(_) if token.is_glued && !matches!(before, Some(Kind::Word(_))) => ("*", 0),
            _ => return None,
        };
        self.adds |= matches!(text, "+" | "-");
        self.operators += 1;
        self.write(text);
        self.at += width;
        Some(())
    }
}

fn decimal(whole: &str, decimals: &str) -> String {
    match (whole, decimals) {
        (whole, "") => whole.to_owned(),
        ("", decimals) => format!("0.{decimals}"),
        (whole, decimals) => format!("{whole}.{decimals}"),
    }
}
