//! Exact fractions, for comparing numbers without rounding.

/// A fraction in lowest terms with a positive denominator, so equal values are equal structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    pub(super) const ZERO: Rational = Rational { numerator: 0, denominator: 1 };
    pub(super) const ONE: Rational = Rational { numerator: 1, denominator: 1 };
    pub(super) const HUNDRED: Rational = Rational { numerator: 100, denominator: 1 };

    /// `None` if the denominator is zero or a number has no counterpart of the other sign.
    pub(super) fn new(numerator: i128, denominator: i128) -> Option<Self> {
        let divisor = gcd(numerator.checked_abs()?, denominator.checked_abs()?);
        if denominator == 0 {
            return None;
        }
        let divisor = if denominator < 0 { -divisor } else { divisor };
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// A decimal from its digits before and after the point; `None` beyond the range of 128 bits.
    pub(super) fn from_digits(whole: &str, decimals: &str) -> Option<Self> {
        let decimals = decimals.trim_end_matches('0');
        let mut numerator = 0_i128;
        for digit in whole.chars().chain(decimals.chars()) {
            numerator = numerator.checked_mul(10)?.checked_add(i128::from(digit.to_digit(10)?))?;
        }
        Self::new(numerator, 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?)
    }

    pub(super) fn numerator(self) -> i128 {
        self.numerator
    }

    /// Above zero.
    pub(super) fn denominator(self) -> i128 {
        self.denominator
    }

    pub(super) fn to_integer(self) -> Option<i128> {
        self.is_integer().then_some(self.numerator)
    }

    /// The largest integer that is not above it.
    pub(super) fn floor(self) -> Self {
        Self { numerator: self.numerator.div_euclid(self.denominator), denominator: 1 }
    }

    pub(super) fn checked_abs(self) -> Option<Self> {
        Some(Self { numerator: self.numerator.checked_abs()?, ..self })
    }

    /// A whole power; `None` for zero to a power that is not positive.
    pub(super) fn checked_pow(self, exponent: i128) -> Option<Self> {
        let size = u32::try_from(exponent.unsigned_abs()).ok()?;
        if self.numerator == 0 && exponent <= 0 {
            return None;
        }
        let power =
            Self { numerator: self.numerator.checked_pow(size)?, denominator: self.denominator.checked_pow(size)? };
        if exponent < 0 { Self::ONE.checked_div(power) } else { Some(power) }
    }

    /// The `degree`-th root if it is a fraction. A negative number has one of an odd degree only.
    pub(super) fn checked_root(self, degree: u32) -> Option<Self> {
        if self.numerator < 0 {
            return if degree % 2 == 1 { self.checked_neg()?.checked_root(degree)?.checked_neg() } else { None };
        }
        Some(Self {
            numerator: whole_root(self.numerator, degree)?,
            denominator: whole_root(self.denominator, degree)?,
        })
    }

    pub(super) fn is_integer(self) -> bool {
        self.denominator == 1
    }

    /// Whether its absolute value is below one.
    pub(super) fn is_proper(self) -> bool {
        self.numerator.abs() < self.denominator
    }

    pub(super) fn checked_neg(self) -> Option<Self> {
        Some(Self { numerator: self.numerator.checked_neg()?, ..self })
    }

    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    pub(super) fn checked_mul(self, other: Self) -> Option<Self> {
        let numerator = self.numerator.checked_mul(other.numerator)?;
        Self::new(numerator, self.denominator.checked_mul(other.denominator)?)
    }

    pub(super) fn checked_div(self, other: Self) -> Option<Self> {
        let numerator = self.numerator.checked_mul(other.denominator)?;
        Self::new(numerator, self.denominator.checked_mul(other.numerator)?)
    }
}

/// The root of a perfect power.
fn whole_root(number: i128, degree: u32) -> Option<i128> {
    // The rounded root is off by less than one part in 2^50.
    let near = (number as f64).powf(1.0 / f64::from(degree)).round() as i128;
    (near.saturating_sub(1)..=near.saturating_add(1)).find(|root| root.checked_pow(degree) == Some(number))
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(numerator: i128, denominator: i128) -> Rational {
        Rational::new(numerator, denominator).unwrap()
    }

    #[test]
    fn equal_values_are_equal_structures() {
        assert_eq!(ratio(6, -4), ratio(-3, 2));
        assert_eq!(ratio(0, -7), ratio(0, 1));
        assert_eq!(Rational::from_digits("2", "50"), Some(ratio(5, 2)));
        assert_eq!(Rational::from_digits("", "5"), Some(ratio(1, 2)));
        assert_eq!(ratio(1, 3).checked_add(ratio(1, 6)), Some(ratio(1, 2)));
        assert_eq!(ratio(1, 3).checked_div(ratio(-2, 1)), Some(ratio(-1, 6)));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(Rational::new(1, 0), None);
        assert_eq!(Rational::new(i128::MIN, 1), None);
        assert_eq!(Rational::from_digits(&"9".repeat(40), ""), None);
        assert_eq!(Rational::from_digits("0", &"1".repeat(40)), None);
        assert_eq!(Rational::from_digits("", &"0".repeat(1000)), Some(ratio(0, 1)));
        assert_eq!(ratio(i128::MAX, 1).checked_add(Rational::ONE), None);
        assert_eq!(Rational::ONE.checked_div(ratio(0, 1)), None);
    }
}
