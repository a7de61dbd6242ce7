//! Commands: fractions, roots, functions, and names of numbers.

use super::{Expr, Function, Parser};

const FUNCTIONS: [(&str, Function); 17] = [
    ("sin", Function::Sin),
    ("cos", Function::Cos),
    ("tan", Function::Tan),
    ("cot", Function::Cot),
    ("sec", Function::Sec),
    ("csc", Function::Csc),
    ("arcsin", Function::Arcsin),
    ("arccos", Function::Arccos),
    ("arctan", Function::Arctan),
    ("sinh", Function::Sinh),
    ("cosh", Function::Cosh),
    ("tanh", Function::Tanh),
    ("ln", Function::Ln),
    ("log", Function::Log),
    ("exp", Function::Exp),
    ("lfloor", Function::Floor),
    ("lceil", Function::Ceiling),
];

/// Commands that stand for a number, known or not.
const SYMBOLS: [&str; 26] = [
    "pi",
    "infty",
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "ell",
];

impl Parser<'_> {
    pub(super) fn command_atom(&mut self) -> Option<Expr> {
        let name = self.command()?;
        if SYMBOLS.contains(&name.as_str()) {
            self.take_command(&name)?;
            return self.subscripted(format!("\\{name}"));
        }
        if let Some(&(_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) {
            self.take_command(&name)?;
            return self.call(function);
        }
        self.take_command(&name)?;
        match name.as_str() {
            "frac" => {
                let over = self.argument()?;
                Some(Expr::Quotient(Box::new(over), Box::new(self.argument()?)))
            }
            "binom" => {
                let over = self.argument()?;
                Some(Expr::Binomial(Box::new(over), Box::new(self.argument()?)))
            }
            "sqrt" => {
                let mut degree = 2;
                if self.take('[').is_some() {
                    self.skip_spaces();
                    degree = self.digits().parse().ok().filter(|degree| (2..=100).contains(degree))?;
                    self.take(']')?;
                }
                Some(Expr::Root(degree, Box::new(self.argument()?)))
            }
            _ => None,
        }
    }

    /// A function's power, base, and argument.
    fn call(&mut self, function: Function) -> Option<Expr> {
        let closing = match function {
            Function::Floor => Some("rfloor"),
            Function::Ceiling => Some("rceil"),
            _ => None,
        };
        if let Some(closing) = closing {
            let inner = self.sum()?;
            self.take_command(closing)?;
            return Some(Expr::Call(function, Box::new(inner)));
        }
        let base = match function {
            Function::Log if self.take('_').is_some() => Some(self.argument()?),
            _ => None,
        };
        let exponent = match self.take('^') {
            Some(()) => Some(self.argument()?),
            None => None,
        };
        // `\sin^{-1} x` is the inverse function for some and 1 / \sin x for others.
        if matches!(exponent, Some(Expr::Negative(_))) {
            return None;
        }
        let argument = self.call_argument()?;
        let call = match base {
            Some(base) => Expr::Logarithm(Box::new(base), Box::new(argument)),
            None => Expr::Call(function, Box::new(argument)),
        };
        Some(match exponent {
            Some(exponent) => Expr::Power(Box::new(call), Box::new(exponent)),
            None => call,
        })
    }

    /// `(x+1)`, `{x}`, or the factors up to the next operator or function: `2x` of `\sin 2x \cos x`.
    fn call_argument(&mut self) -> Option<Expr> {
        if matches!(self.peek()?, '(' | '{') {
            let argument = self.atom()?;
            // `\sin(x)^2` and `\sin(x)!` are read in two ways.
            return (!matches!(self.peek(), Some('^' | '!'))).then_some(argument);
        }
        let mut factors = vec![self.power()?];
        while self.begins_factor() && !self.is_function_next() {
            if self.peek()?.is_ascii_digit() {
                return None;
            }
            factors.push(self.power()?);
        }
        Some(if factors.len() == 1 { factors.remove(0) } else { Expr::Product(factors) })
    }

    fn is_function_next(&mut self) -> bool {
        let name = self.command();
        name.is_some_and(|name| {
            matches!(name.as_str(), "cdot" | "times" | "div") || FUNCTIONS.iter().any(|(known, _)| *known == name)
        })
    }
}
