//! Reading LaTeX and plain formulas.
//!
//! ```text
//!  sum      := [+|-] product { (+|-) product }
//!  product  := power { (* | / | \cdot | \times | \div) [-] power | power }     nothing implicit after a slash
//!  power    := atom { ! } [ ^ exponent ]
//!  atom     := number | mixed number | letter [_ subscript] | ( sum ) | { sum } | | sum | | command ...
//! ```

mod commands;

use super::{Expr, Function};

/// Deepest nesting; what is deeper is no answer that anybody writes.
const MAX_DEPTH: u32 = 24;

pub(super) fn parse(text: &str) -> Option<Expr> {
    // Letters alone are a word or a name: "no" is not "on".
    if text.chars().filter(|c| !c.is_whitespace()).all(char::is_alphabetic) && text.trim().chars().count() > 1 {
        return None;
    }
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser { chars: &chars, at: 0, depth: 0, open_bars: 0 };
    let expr = parser.sum()?;
    parser.skip_spaces();
    (parser.at == chars.len()).then_some(expr)
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    depth: u32,
    /// `|` that were opened and not closed.
    open_bars: u32,
}

impl Parser<'_> {
    fn skip_spaces(&mut self) {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_spaces();
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// The name of the command here, without taking it.
    fn command(&mut self) -> Option<String> {
        (self.peek()? == '\\').then_some(())?;
        Some(self.chars[self.at + 1..].iter().take_while(|c| c.is_ascii_alphabetic()).collect())
    }

    fn take_command(&mut self, wanted: &str) -> Option<()> {
        (self.command()? == wanted).then(|| self.at += 1 + wanted.len())
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn sum(&mut self) -> Option<Expr> {
        let mut terms = Vec::new();
        loop {
            let negative = match self.peek()? {
                '-' => Some(true),
                '+' => Some(false),
                _ => None,
            };
            self.at += usize::from(negative.is_some());
            let term = self.product()?;
            terms.push(if negative == Some(true) { Expr::Negative(Box::new(term)) } else { term });
            if !matches!(self.peek(), Some('+' | '-')) {
                return Some(if terms.len() == 1 { terms.remove(0) } else { Expr::Sum(terms) });
            }
        }
    }

    fn product(&mut self) -> Option<Expr> {
        let mut product = self.power()?;
        let mut after_slash = false;
        let multiply = |product: Expr, factor: Expr| match product {
            Expr::Product(mut factors) => {
                factors.push(factor);
                Expr::Product(factors)
            }
            one => Expr::Product(vec![one, factor]),
        };
        loop {
            let (explicit, divide) = match (self.peek(), self.command().as_deref()) {
                (Some('*'), _) | (_, Some("cdot" | "times")) => (true, false),
                (Some('/'), _) | (_, Some("div")) => (true, true),
                _ => (false, false),
            };
            if explicit {
                self.at += self.command().map_or(1, |name| 1 + name.len());
                let negative = self.peek()? == '-';
                self.at += usize::from(negative);
                let factor = self.power()?;
                let factor = if negative { Expr::Negative(Box::new(factor)) } else { factor };
                product = if divide {
                    Expr::Quotient(Box::new(product), Box::new(factor))
                } else {
                    multiply(product, factor)
                };
                after_slash = divide;
                continue;
            }
            if !self.begins_factor() {
                return Some(product);
            }
            // `1/2x` is a half of x for some and 1/(2x) for others; digits after a factor are a slip: `x2`, `1 2`.
            if after_slash || self.peek()?.is_ascii_digit() || self.peek()? == '.' {
                return None;
            }
            product = multiply(product, self.power()?);
        }
    }

    /// Whether what comes next can be multiplied with what came before.
    fn begins_factor(&mut self) -> bool {
        match self.peek() {
            Some('|') => self.open_bars == 0,
            Some('\\') => !matches!(self.command().as_deref(), Some("rfloor" | "rceil") | None),
            Some(c) => c.is_alphanumeric() || matches!(c, '(' | '{' | '.'),
            None => false,
        }
    }

    fn power(&mut self) -> Option<Expr> {
        let mut base = self.atom()?;
        while self.peek() == Some('!') {
            self.at += 1;
            base = Expr::Factorial(Box::new(base));
        }
        if self.take('^').is_none() {
            return Some(base);
        }
        let exponent = self.nested(Self::argument)?;
        // `x^2^3` and `x^2'` are read in two ways.
        if matches!(self.peek(), Some('^' | '\'' | '!')) {
            return None;
        }
        Some(Expr::Power(Box::new(base), Box::new(exponent)))
    }

    /// What a command or `^` applies to: a group, one digit, one letter, or one command.
    fn argument(&mut self) -> Option<Expr> {
        match self.peek()? {
            '{' => self.group('{', '}'),
            digit if digit.is_ascii_digit() => {
                self.at += 1;
                Some(Expr::Number(digit.to_string(), String::new()))
            }
            letter if letter.is_ascii_alphabetic() => {
                self.at += 1;
                Some(Expr::Symbol(letter.to_string()))
            }
            '\\' => self.atom(),
            _ => None,
        }
    }

    fn group(&mut self, opening: char, closing: char) -> Option<Expr> {
        self.take(opening)?;
        let bars = std::mem::take(&mut self.open_bars);
        let inner = self.nested(Self::sum)?;
        self.open_bars = bars;
        self.take(closing)?;
        Some(inner)
    }

    fn atom(&mut self) -> Option<Expr> {
        match self.peek()? {
            '(' => self.group('(', ')'),
            '{' => self.group('{', '}'),
            '|' => {
                self.at += 1;
                self.open_bars += 1;
                let inner = self.nested(Self::sum)?;
                self.take('|')?;
                self.open_bars -= 1;
                Some(Expr::Call(Function::Abs, Box::new(inner)))
            }
            '\\' => self.nested(Self::command_atom),
            c if c.is_ascii_digit() || c == '.' => self.number(),
            c if c.is_alphabetic() => self.letter(),
            _ => None,
        }
    }

    fn digits(&mut self) -> String {
        let digits: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += digits.len();
        digits
    }

    fn number(&mut self) -> Option<Expr> {
        let whole = self.digits();
        let mut decimals = String::new();
        if self.chars.get(self.at) == Some(&'.') {
            self.at += 1;
            decimals = self.digits();
        }
        if whole.is_empty() && decimals.is_empty() || matches!(self.chars.get(self.at), Some('_' | '.')) {
            return None;
        }
        let is_whole = decimals.is_empty();
        let number = Expr::Number(whole.clone(), decimals);
        if is_whole && self.command().as_deref() == Some("frac") {
            return self.mixed(&whole, number);
        }
        // An angle: in a formula its degrees only mean something as radians.
        if self.take('°').is_some() {
            let radians = Expr::Quotient(Box::new(Expr::Symbol("\\pi".into())), Box::new(integer("180")));
            return Some(Expr::Product(vec![number, radians]));
        }
        Some(number)
    }

    /// `2\frac{1}{2}` is two and a half, `2\frac{x}{3}` and `2\frac{3}{2}` are products.
    fn mixed(&mut self, whole: &str, number: Expr) -> Option<Expr> {
        let start = self.at;
        let fraction = self.atom()?;
        if let Expr::Quotient(over, under) = &fraction
            && let (Expr::Number(over, over_decimals), Expr::Number(under, under_decimals)) = (&**over, &**under)
            && over_decimals.is_empty()
            && under_decimals.is_empty()
        {
            let proper = over.parse::<u64>().ok()? < under.parse::<u64>().ok()?;
            return (proper && !whole.is_empty()).then(|| Expr::Sum(vec![number, fraction]));
        }
        self.at = start;
        Some(number)
    }

    fn letter(&mut self) -> Option<Expr> {
        let run = self.chars[self.at..].iter().take_while(|c| c.is_alphabetic()).count();
        let letter = self.chars[self.at];
        let next = self.chars.get(self.at + 1).copied();
        // Words are no products, `x2` is a slip, and f(x) is no product.
        let is_called = next == Some('(') && (letter.is_uppercase() || matches!(letter, 'f' | 'g' | 'h'));
        if run > 3 || is_called || next.is_some_and(|c| c.is_ascii_digit() || c == '\'') {
            return None;
        }
        self.at += 1;
        self.subscripted(letter.to_string())
    }

    /// A name with the subscript that may follow.
    fn subscripted(&mut self, mut name: String) -> Option<Expr> {
        if self.chars.get(self.at) == Some(&'_') {
            self.at += 1;
            name.push('_');
            if self.chars.get(self.at) == Some(&'{') {
                let length = self.chars[self.at..].iter().position(|&c| c == '}')?;
                name.extend(self.chars[self.at + 1..self.at + length].iter().filter(|c| !c.is_whitespace()));
                self.at += length + 1;
            } else {
                name.push(*self.chars.get(self.at).filter(|c| c.is_ascii_alphanumeric())?);
                self.at += 1;
            }
        }
        Some(Expr::Symbol(name))
    }
}

fn integer(digits: &str) -> Expr {
    Expr::Number(digits.to_owned(), String::new())
}
