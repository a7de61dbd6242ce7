//! Comparison by complex numbers, for formulas with roots and functions.
//!
//! A rounded number can prove that two formulas differ, never that they are equal. So equality is concluded only where an
//! accident is out of the question: no literal has more than [`MAX_DIGITS`] digits (`1.4142135623730951` is not the root
//! of two), no sum loses a term to rounding, and no value becomes huge or tiny.

use super::{Expr, Function, MAX_FACTORIAL, exact, hash};
use espalier_files::unit_interval;

/// Points at which two formulas with symbols are compared.
const POINTS: u64 = 16;
/// Fewest points at which both must have a value.
const MIN_POINTS: usize = 5;
/// Most digits of a literal. Fractions of such numbers come no nearer to a root than some 1e-12 of it.
const MAX_DIGITS: usize = 6;
/// Equal within this share of their size.
const TOLERANCE: f64 = 5e-13;
/// A term below this share of the sum's other part may be lost in it.
const LOST: f64 = 1e-9;
const HUGE: f64 = 1e12;

/// Whether two formulas agree wherever they are defined; `None` if rounding would decide.
pub(super) fn same(one: &Expr, other: &Expr) -> Option<bool> {
    if !(has_short_literals(one) && has_short_literals(other)) {
        return None;
    }
    let points = if has_symbols(one) || has_symbols(other) { POINTS } else { 1 };
    let mut agreeing = 0;
    for point in 0..points {
        match (value(one, point), value(other, point)) {
            (Ok(one), Ok(other)) if one.is_near(other) => agreeing += 1,
            (Ok(_), Ok(_) | Err(Failure::Undefined)) | (Err(Failure::Undefined), Ok(_)) => return Some(false),
            _ => {}
        }
    }
    (agreeing >= MIN_POINTS.min(points as usize)).then_some(true)
}

#[derive(Clone, Copy)]
enum Failure {
    /// Has no value here: a division by zero, the logarithm of a negative number.
    Undefined,
    /// Has one, but its digits cannot be trusted.
    Inexact,
}

#[derive(Clone, Copy)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    const ZERO: Complex = Complex::real(0.0);
    const ONE: Complex = Complex::real(1.0);

    const fn real(re: f64) -> Complex {
        Complex { re, im: 0.0 }
    }

    fn is_real(self) -> bool {
        self.im == 0.0
    }

    fn size(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn is_near(self, other: Complex) -> bool {
        let difference = Complex { re: self.re - other.re, im: self.im - other.im };
        difference.size() <= TOLERANCE * self.size().max(other.size()) + 1e-14
    }

    /// A term that vanishes beside the other is a reason for mistrust, unless it is the rounded rest of a zero.
    fn plus(self, other: Complex) -> Result<Complex, Failure> {
        let (small, large) = (self.size().min(other.size()), self.size().max(other.size()));
        if small > 1e-15 && small < LOST * large {
            return Err(Failure::Inexact);
        }
        Ok(Complex { re: self.re + other.re, im: self.im + other.im })
    }

    fn times(self, other: Complex) -> Complex {
        if self.is_real() && other.is_real() {
            return Complex::real(self.re * other.re);
        }
        Complex { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn over(self, other: Complex) -> Result<Complex, Failure> {
        let norm = other.re * other.re + other.im * other.im;
        if norm < 1e-24 {
            return Err(Failure::Undefined);
        }
        let conjugate = Complex { re: other.re / norm, im: -other.im / norm };
        Ok(self.times(conjugate))
    }

    fn exp(self) -> Complex {
        let size = self.re.exp();
        if self.is_real() {
            return Complex::real(size);
        }
        // The rest of a zero would make a real number complex: e^{i pi} is -1.
        let clean = |part: f64| if part.abs() < 1e-15 { 0.0 } else { part };
        Complex { re: size * clean(self.im.cos()), im: size * clean(self.im.sin()) }
    }

    fn whole_power(self, exponent: i32) -> Result<Complex, Failure> {
        if self.is_real() {
            return match exponent {
                ..=0 if self.re == 0.0 => Err(Failure::Undefined),
                _ => Ok(Complex::real(self.re.powi(exponent))),
            };
        }
        let power = (0..exponent.unsigned_abs().min(64)).fold(Complex::ONE, |power, _| power.times(self));
        match exponent {
            65.. | ..=-65 => Err(Failure::Inexact),
            0.. => Ok(power),
            _ => Complex::ONE.over(power),
        }
    }
}

/// The value at a point; the symbols' values there are random, of both signs.
fn value(expr: &Expr, point: u64) -> Result<Complex, Failure> {
    let value = match expr {
        Expr::Number(whole, decimals) => {
            Complex::real(format!("0{whole}.{decimals}0").parse().map_err(|_| Failure::Inexact)?)
        }
        Expr::Symbol(name) => symbol(name, point),
        Expr::Sum(terms) => terms.iter().try_fold(Complex::ZERO, |sum, term| sum.plus(value(term, point)?))?,
        Expr::Negative(inner) => value(inner, point)?.times(Complex::real(-1.0)),
        Expr::Product(factors) => {
            factors.iter().try_fold(Complex::ONE, |product, factor| Ok(product.times(value(factor, point)?)))?
        }
        Expr::Quotient(over, under) => value(over, point)?.over(value(under, point)?)?,
        Expr::Power(base, exponent) => power(base, exponent, point)?,
        Expr::Root(degree, inner) => root(*degree, value(inner, point)?)?,
        Expr::Call(function, inner) => call(*function, value(inner, point)?)?,
        Expr::Logarithm(base, inner) => {
            let base = call(Function::Ln, value(base, point)?)?;
            call(Function::Ln, value(inner, point)?)?.over(base)?
        }
        Expr::Factorial(inner) => {
            let n = natural(value(inner, point)?)?;
            Complex::real((1..=n).map(f64::from).product())
        }
        Expr::Binomial(over, under) => {
            let (n, k) = (natural(value(over, point)?)?, natural(value(under, point)?)?);
            Complex::real((0..k).map(|i| (f64::from(n) - f64::from(i)) / (f64::from(k) - f64::from(i))).product())
        }
    };
    let size = value.size();
    if !size.is_finite() || size > HUGE || size != 0.0 && size < 1.0 / HUGE && size > 1e-15 {
        return Err(Failure::Inexact);
    }
    Ok(value)
}

fn symbol(name: &str, point: u64) -> Complex {
    match name {
        "i" => Complex { re: 0.0, im: 1.0 },
        "e" => Complex::real(std::f64::consts::E),
        "\\pi" => Complex::real(std::f64::consts::PI),
        _ => {
            let bits = hash(name, point);
            let magnitude = 0.3 + 2.7 * unit_interval(bits);
            // Some points are all positive, so that roots and logarithms of several symbols have values there.
            let negative = point % 2 == 1 && bits & 1 == 1;
            // And some are large: x - 5 has a root only there.
            let scale = if point % 4 == 2 { 10.0 } else { 1.0 };
            Complex::real(if negative { -magnitude } else { scale * magnitude })
        }
    }
}

fn power(base: &Expr, exponent: &Expr, point: u64) -> Result<Complex, Failure> {
    let base = value(base, point)?;
    if let Some(exponent) = exact(exponent) {
        let whole = i32::try_from(exponent.numerator()).map_err(|_| Failure::Inexact)?;
        return match u32::try_from(exponent.denominator()) {
            Ok(1) => base.whole_power(whole),
            Ok(degree) if degree <= 100 => root(degree, base)?.whole_power(whole),
            _ => Err(Failure::Inexact),
        };
    }
    let exponent = value(exponent, point)?;
    if !base.is_real() || base.re <= 0.0 {
        return Err(Failure::Undefined);
    }
    Ok(exponent.times(Complex::real(base.re.ln())).exp())
}

/// The real root where there is one; of a negative number the square root is imaginary.
fn root(degree: u32, of: Complex) -> Result<Complex, Failure> {
    if !of.is_real() || degree == 0 {
        return Err(Failure::Undefined);
    }
    let size = match degree {
        2 => of.re.abs().sqrt(),
        3 => of.re.abs().cbrt(),
        _ => of.re.abs().powf(1.0 / f64::from(degree)),
    };
    match (of.re < 0.0, degree) {
        (false, _) => Ok(Complex::real(size)),
        (true, 2) => Ok(Complex { re: 0.0, im: size }),
        (true, _) if degree % 2 == 1 => Ok(Complex::real(-size)),
        (true, _) => Err(Failure::Undefined),
    }
}

fn call(function: Function, of: Complex) -> Result<Complex, Failure> {
    if !of.is_real() {
        return match function {
            Function::Exp => Ok(of.exp()),
            Function::Abs => Ok(Complex::real(of.size())),
            _ => Err(Failure::Undefined),
        };
    }
    let x = of.re;
    let inverse = |value: f64| if value.abs() < 1e-12 { Err(Failure::Undefined) } else { Ok(1.0 / value) };
    // Where a step is near, rounding decides on which side of it the value lies.
    let step = |value: f64| if (x - x.round()).abs() < 1e-9 { x.round() } else { value };
    Ok(Complex::real(match function {
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Tan => x.sin() * inverse(x.cos())?,
        Function::Cot => x.cos() * inverse(x.sin())?,
        Function::Sec => inverse(x.cos())?,
        Function::Csc => inverse(x.sin())?,
        Function::Arcsin | Function::Arccos if x.abs() > 1.0 => return Err(Failure::Undefined),
        Function::Arcsin => x.asin(),
        Function::Arccos => x.acos(),
        Function::Arctan => x.atan(),
        Function::Sinh => x.sinh(),
        Function::Cosh => x.cosh(),
        Function::Tanh => x.tanh(),
        Function::Ln | Function::Log if x <= 0.0 => return Err(Failure::Undefined),
        Function::Ln => x.ln(),
        // 1 / ln(base) of a base that nobody uses: equal only to what is equal for every base.
        Function::Log => x.ln() * 1.739_271,
        Function::Exp => x.exp(),
        Function::Abs => x.abs(),
        Function::Floor => step(x.floor()),
        Function::Ceiling => step(x.ceil()),
    }))
}

fn natural(of: Complex) -> Result<u32, Failure> {
    let is_natural = of.is_real() && of.re >= 0.0 && of.re == of.re.round();
    if !is_natural {
        return Err(Failure::Undefined);
    }
    if of.re > MAX_FACTORIAL as f64 { Err(Failure::Inexact) } else { Ok(of.re as u32) }
}

fn has_symbols(expr: &Expr) -> bool {
    any(expr, &|expr| matches!(expr, Expr::Symbol(name) if !matches!(name.as_str(), "i" | "e" | "\\pi")))
}

fn has_short_literals(expr: &Expr) -> bool {
    !any(expr, &|expr| match expr {
        Expr::Number(whole, decimals) => {
            let digits = format!("{whole}{decimals}");
            digits.trim_start_matches('0').len() > MAX_DIGITS
        }
        _ => false,
    })
}

/// Whether any part of a formula is such.
fn any(expr: &Expr, is_such: &dyn Fn(&Expr) -> bool) -> bool {
    is_such(expr)
        || match expr {
            Expr::Number(..) | Expr::Symbol(_) => false,
            Expr::Sum(parts) | Expr::Product(parts) => parts.iter().any(|part| any(part, is_such)),
            Expr::Negative(inner) | Expr::Root(_, inner) | Expr::Call(_, inner) | Expr::Factorial(inner) => {
                any(inner, is_such)
            }
            Expr::Quotient(one, other)
            | Expr::Power(one, other)
            | Expr::Logarithm(one, other)
            | Expr::Binomial(one, other) => any(one, is_such) || any(other, is_such),
        }
}
