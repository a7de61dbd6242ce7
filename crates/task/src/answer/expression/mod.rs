//! Whether two formulas are the same function of their symbols.
//!
//! ```text
//!  text ──parse──► Expr ──field──► equal residues at random points?      exact: sums, products, quotients, powers
//!                    └────float──► equal complex numbers at such points?  roots, functions; only where rounding decides
//!                                                                         nothing
//! ```

mod field;
mod float;
mod parse;

use super::rational::Rational;

/// A formula.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// A decimal: digits before and after the point.
    Number(String, String),
    /// A variable or a constant: one letter, with its subscript, or a command such as `\pi`.
    Symbol(String),
    Sum(Vec<Expr>),
    Negative(Box<Expr>),
    Product(Vec<Expr>),
    Quotient(Box<Expr>, Box<Expr>),
    Power(Box<Expr>, Box<Expr>),
    /// The `n`-th root.
    Root(u32, Box<Expr>),
    Call(Function, Box<Expr>),
    /// The logarithm of the second to the base of the first.
    Logarithm(Box<Expr>, Box<Expr>),
    Factorial(Box<Expr>),
    Binomial(Box<Expr>, Box<Expr>),
}

/// A function of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    /// `\log` without a base: ten for some, e for others, so it is only known to be a multiple of `ln`.
    Log,
    Exp,
    Abs,
    Floor,
    Ceiling,
}

/// Reads tidied text; `None` if it is no formula or can be read in two ways, such as `1/2x`.
pub(super) fn parse(tidied: &str) -> Option<Expr> {
    parse::parse(tidied)
}

/// Whether two formulas are the same; `None` if that cannot be decided without trusting rounded numbers.
pub(super) fn same_expression(one: &Expr, other: &Expr) -> Option<bool> {
    match (field::residues(one), field::residues(other)) {
        (Some(one), Some(other)) => Some(one.is_defined() && one == other),
        _ => float::same(one, other),
    }
}

/// Largest `n` of `n!` and of `n` over `k` that is computed.
const MAX_FACTORIAL: i128 = 1000;

/// The exact value of a formula without symbols, if it is a fraction that 128 bits hold.
pub(super) fn exact(expr: &Expr) -> Option<Rational> {
    match expr {
        Expr::Number(whole, decimals) => Rational::from_digits(whole, decimals),
        Expr::Sum(terms) => terms.iter().try_fold(Rational::ZERO, |sum, term| sum.checked_add(exact(term)?)),
        Expr::Negative(inner) => exact(inner)?.checked_neg(),
        Expr::Product(factors) => {
            factors.iter().try_fold(Rational::ONE, |product, factor| product.checked_mul(exact(factor)?))
        }
        Expr::Quotient(over, under) => exact(over)?.checked_div(exact(under)?),
        Expr::Power(base, exponent) => exact(base)?.checked_pow(exact(exponent)?.to_integer()?),
        Expr::Root(degree, inner) => exact(inner)?.checked_root(*degree),
        Expr::Call(Function::Abs, inner) => exact(inner)?.checked_abs(),
        Expr::Call(Function::Floor, inner) => Some(exact(inner)?.floor()),
        Expr::Call(Function::Ceiling, inner) => exact(inner)?.checked_neg()?.floor().checked_neg(),
        Expr::Symbol(_) | Expr::Call(..) | Expr::Logarithm(..) | Expr::Factorial(_) | Expr::Binomial(..) => None,
    }
}

/// A number that is the same for the same name and index everywhere, and looks random (FNV-1a, then splitmix64).
fn hash(name: &str, index: u64) -> u64 {
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut mixed = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(one: &str, other: &str) -> Option<bool> {
        same_expression(&parse(one)?, &parse(other)?)
    }

    #[test]
    fn identities() {
        for (one, other) in [
            ("x+1", "1+x"),
            (r"\frac{x^{2}-1}{x-1}", "x+1"),
            ("(a+b)^2", "a^2+2ab+b^2"),
            ("2^{100}", "1267650600228229401496703205376"),
            ("2^{2021}-2^{2020}", "2^{2020}"),
            ("x^{2021}x", "x^{2022}"),
            ("i^2", "-1"),
            (r"\frac{1}{i}", "-i"),
            (r"\sqrt{8}", r"2\sqrt{2}"),
            (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
            (r"\sqrt[3]{-8}", "-2"),
            (r"\sqrt{-4}", "2i"),
            (r"\sqrt{5+2\sqrt{6}}", r"\sqrt{2}+\sqrt{3}"),
            (r"\sin^2 x+\cos^2 x", "1"),
            (r"2\sin x\cos x", r"\sin(2x)"),
            (r"\ln 2+\ln 3", r"\ln 6"),
            (r"\log 2+\log 5", r"\log 10"),
            (r"\log_{2}8", "3"),
            ("10!", "3628800"),
            (r"\binom{10}{3}", "120"),
            ("|x|", r"\sqrt{x^2}"),
            (r"e^{i\pi}", "-1"),
            (r"x^{\frac{1}{2}}", r"\sqrt{x}"),
            (r"\tan\frac{\pi}{4}", "1"),
            (r"\sin 30°", r"\frac{1}{2}"),
            (r"\lfloor 3.7\rfloor", "3"),
            ("5^{-2}", "0.04"),
        ] {
            assert_eq!(verdict(one, other), Some(true), "{one} and {other}");
            assert_eq!(verdict(other, one), Some(true), "{other} and {one}");
        }
    }

    #[test]
    fn what_differs_little() {
        for (one, other) in [
            (r"\sqrt{x^2}", "x"),
            (r"\log 100", "2"),
            ("2^{200}+1", "2^{200}"),
            ("x^{2021}+1", "x^{2021}"),
            (r"\frac{355}{113}", r"\pi"),
            (r"\pi", "3.14159"),
            (r"\sqrt{2}", "1.41421"),
            (r"e^{\pi}-\pi", "20"),
            (r"\pi^4+\pi^5", "e^6"),
            ("x^2", "2^x"),
            ("2ab", "2a+b"),
            (r"\pi", "3.141592653589793"),
            ("x_1", "x_2"),
            ("x", "X"),
            (r"\ln(x^2)", r"2\ln x"),
            ("0", "18446744069414584321"),
        ] {
            assert_eq!(verdict(one, other), Some(false), "{one} and {other}");
        }
    }

    #[test]
    fn rounding_gives_no_verdict() {
        for (one, other) in [
            (r"\sqrt{2}", "1.414213562373095048"),
            (r"e^{\pi\sqrt{163}}", "262537412640768744"),
            (r"2^{100}\sqrt{2}+1", r"2^{100}\sqrt{2}"),
            (r"\sqrt{2}", r"\frac{131836323}{93222358}"),
        ] {
            assert_eq!(verdict(one, other), None, "{one} and {other}");
        }
    }

    #[test]
    fn texts_that_are_no_formula() {
        for text in [
            "",
            "1 2",
            "x2",
            "1/2x",
            "x/2y",
            "east",
            "2215_6",
            "3:30",
            "f(x)",
            "P(A)",
            "+",
            "x+",
            "(x",
            "x)",
            r"\frac{1}",
            r"\sqrt",
            "1.2.3",
            "x==1",
            "a,b",
            "|x",
            r"\sin",
            "x^",
            "^2",
            r"\sin^{-1}x",
            "5e3",
            "--x",
            r"\foo{x}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
