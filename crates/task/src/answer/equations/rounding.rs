//! Numbers that are written with fewer digits than they have.

use crate::answer::expression::{Expr, exact};
use crate::answer::rational::Rational;

/// Whether a number that was written down is the exact value rounded, or cut off, to its last digit. What is only about the
/// value may be rounded to any digit that is not 0.
pub(super) fn is_written(written: &Expr, number: Rational, exact: Rational, is_about: bool) -> bool {
    let Some(unit) = last_place(written, is_about) else { return false };
    is_rounded(number, exact, unit).unwrap_or(false)
}

/// `|number - exact| <= unit / 2`, or the same sign, not farther from 0, and less than a unit away.
pub(super) fn is_rounded(number: Rational, exact: Rational, unit: Rational) -> Option<bool> {
    let distance = number.checked_add(exact.checked_neg()?)?.checked_abs()?;
    let twice = distance.checked_add(distance)?;
    let is_cut = at_most(number.checked_abs()?, exact.checked_abs()?)?
        && at_most(Rational::ZERO, number.checked_mul(exact)?)?
        && distance != unit
        && at_most(distance, unit)?;
    Some(at_most(twice, unit)? || is_cut)
}

pub(super) fn at_most(one: Rational, other: Rational) -> Option<bool> {
    Some(one.checked_add(other.checked_neg()?)?.numerator() <= 0)
}

/// The value of a 1 in the last place of a number: of `3.33` a hundredth, of `1200`, if it stands for about that, 100.
fn last_place(written: &Expr, is_about: bool) -> Option<Rational> {
    match written {
        Expr::Negative(inner) => last_place(inner, is_about),
        Expr::Number(_, decimals) if !decimals.is_empty() => {
            Rational::new(1, 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?)
        }
        Expr::Number(whole, _) if is_about => {
            let zeros = whole.len() - whole.trim_end_matches('0').len();
            Rational::new(10_i128.checked_pow(u32::try_from(zeros.min(whole.len() - 1)).ok()?)?, 1)
        }
        // A percentage is a quotient; its places are those of the number before the sign.
        Expr::Quotient(over, under) if **under == Expr::Number("100".to_owned(), String::new()) => {
            last_place(over, is_about)?.checked_div(Rational::HUNDRED)
        }
        _ => None,
    }
}

/// Whether two values are less than a tenth apart.
pub(super) fn near(one: Rational, other: Rational) -> Option<bool> {
    let distance = one.checked_add(other.checked_neg()?)?.checked_abs()?;
    at_most(distance.checked_mul(Rational::new(10, 1)?)?, one.checked_abs()?)
}

/// The least and the most that a calculation can come to, if its decimals were rounded before.
pub(super) fn interval(expr: &Expr) -> Option<(Rational, Rational)> {
    match expr {
        Expr::Number(_, decimals) if !decimals.is_empty() => {
            let value = exact(expr)?;
            let half = last_place(expr, false)?.checked_div(Rational::new(2, 1)?)?;
            Some((value.checked_add(half.checked_neg()?)?, value.checked_add(half)?))
        }
        Expr::Negative(inner) => {
            let (low, high) = interval(inner)?;
            Some((high.checked_neg()?, low.checked_neg()?))
        }
        Expr::Sum(terms) => terms.iter().try_fold((Rational::ZERO, Rational::ZERO), |(low, high), term| {
            let (least, most) = interval(term)?;
            Some((low.checked_add(least)?, high.checked_add(most)?))
        }),
        Expr::Product(factors) => {
            factors.iter().try_fold((Rational::ONE, Rational::ONE), |product, factor| times(product, interval(factor)?))
        }
        Expr::Quotient(over, under) => {
            let (low, high) = interval(under)?;
            if low.numerator() <= 0 && high.numerator() >= 0 {
                return None;
            }
            times(interval(over)?, (Rational::ONE.checked_div(high)?, Rational::ONE.checked_div(low)?))
        }
        _ => exact(expr).map(|value| (value, value)),
    }
}

fn times(one: (Rational, Rational), other: (Rational, Rational)) -> Option<(Rational, Rational)> {
    let mut corners = Vec::with_capacity(4);
    for a in [one.0, one.1] {
        for b in [other.0, other.1] {
            corners.push(a.checked_mul(b)?);
        }
    }
    let mut ends = (corners[0], corners[0]);
    for corner in corners {
        if at_most(corner, ends.0)? {
            ends.0 = corner;
        }
        if at_most(ends.1, corner)? {
            ends.1 = corner;
        }
    }
    Some(ends)
}
