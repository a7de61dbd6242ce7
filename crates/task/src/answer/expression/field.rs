//! Exact comparison by residues: two rational functions that agree at random points of two prime fields are the same
//! (Schwartz 1980, Zippel 1979), but for a chance of degree / 2^62 each.
//!
//! Pi and Euler's number stand for themselves, as variables do: what holds for all numbers holds for them. In both fields
//! -1 is a square, so the imaginary unit is one of its roots.

use super::{Expr, Function, MAX_FACTORIAL, exact, hash};
use crate::answer::rational::Rational;

/// A prime and a square root of -1 modulo it.
const FIELDS: [(u64, u64); 2] =
    [(18_446_744_069_414_584_321, 1 << 48), (4_611_686_018_427_387_817, 4_490_822_397_581_186_023)];

/// The values of a formula at one point of each field; `None` where it divides by zero.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Residues([Option<u64>; FIELDS.len()]);

impl Residues {
    pub(super) fn is_defined(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }
}

/// `None` if the formula is more than sums, products, quotients, and whole powers.
pub(super) fn residues(expr: &Expr) -> Option<Residues> {
    let mut values = [None; FIELDS.len()];
    for (value, (prime, unit)) in values.iter_mut().zip(FIELDS) {
        *value = match (Field { prime, unit }).value(expr) {
            Ok(value) => Some(value),
            Err(Failure::Undefined) => None,
            Err(Failure::Outside) => return None,
        };
    }
    Some(Residues(values))
}

enum Failure {
    /// Divides by zero.
    Undefined,
    /// Holds something that is not rational.
    Outside,
}

struct Field {
    prime: u64,
    unit: u64,
}

impl Field {
    fn value(&self, expr: &Expr) -> Result<u64, Failure> {
        match expr {
            Expr::Number(whole, decimals) => {
                let digits = whole.bytes().chain(decimals.bytes());
                let number = digits.fold(0, |number, digit| self.add(self.times(number, 10), u64::from(digit - b'0')));
                self.divide(number, self.power(10, decimals.len() as u128))
            }
            Expr::Symbol(name) if name == "i" => Ok(self.unit),
            Expr::Symbol(name) => Ok(hash(name, self.prime) % self.prime),
            Expr::Sum(terms) => terms.iter().try_fold(0, |sum, term| Ok(self.add(sum, self.value(term)?))),
            Expr::Negative(inner) => Ok(self.negative(self.value(inner)?)),
            Expr::Product(factors) => {
                factors.iter().try_fold(1, |product, factor| Ok(self.times(product, self.value(factor)?)))
            }
            Expr::Quotient(over, under) => self.divide(self.value(over)?, self.value(under)?),
            Expr::Power(base, exponent) => {
                let exponent = exact(exponent).and_then(Rational::to_integer).ok_or(Failure::Outside)?;
                let base = self.value(base)?;
                if base == 0 && exponent <= 0 {
                    return Err(Failure::Undefined);
                }
                let power = self.power(base, exponent.unsigned_abs());
                if exponent < 0 { self.divide(1, power) } else { Ok(power) }
            }
            Expr::Root(..) | Expr::Call(Function::Abs | Function::Floor | Function::Ceiling, _) => {
                self.rational(exact(expr).ok_or(Failure::Outside)?)
            }
            Expr::Factorial(inner) => {
                let n = exact(inner).and_then(Rational::to_integer).filter(|n| (0..=MAX_FACTORIAL).contains(n));
                let n = n.ok_or(Failure::Outside)? as u64;
                Ok((1..=n).fold(1, |product, factor| self.times(product, factor)))
            }
            Expr::Binomial(over, under) => {
                let whole = |expr: &Expr| exact(expr).and_then(Rational::to_integer);
                let n = whole(over).filter(|n| (0..=MAX_FACTORIAL).contains(n)).ok_or(Failure::Outside)?;
                let k = whole(under).filter(|k| (0..=n).contains(k)).ok_or(Failure::Outside)?;
                let (n, k) = (n as u64, k as u64);
                let product = |from: u64, to: u64| (from..=to).fold(1, |product, factor| self.times(product, factor));
                self.divide(product(n - k + 1, n), product(1, k))
            }
            Expr::Call(..) | Expr::Logarithm(..) => Err(Failure::Outside),
        }
    }

    fn rational(&self, value: Rational) -> Result<u64, Failure> {
        let residue = |number: i128| number.rem_euclid(i128::from(self.prime)) as u64;
        self.divide(residue(value.numerator()), residue(value.denominator()))
    }

    fn add(&self, a: u64, b: u64) -> u64 {
        ((u128::from(a) + u128::from(b)) % u128::from(self.prime)) as u64
    }

    fn negative(&self, a: u64) -> u64 {
        if a == 0 { 0 } else { self.prime - a }
    }

    fn times(&self, a: u64, b: u64) -> u64 {
        ((u128::from(a) * u128::from(b)) % u128::from(self.prime)) as u64
    }

    fn power(&self, mut base: u64, mut exponent: u128) -> u64 {
        let mut power = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = self.times(power, base);
            }
            base = self.times(base, base);
            exponent >>= 1;
        }
        power
    }

    /// By Fermat's little theorem.
    fn divide(&self, a: u64, b: u64) -> Result<u64, Failure> {
        if b == 0 {
            return Err(Failure::Undefined);
        }
        Ok(self.times(a, self.power(b, u128::from(self.prime - 2))))
    }
}
