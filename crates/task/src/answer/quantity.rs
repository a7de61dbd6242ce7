//! Numbers with an optional unit.

use super::rational::Rational;
use super::unit::{PERCENT, unit};

/// A number, exactly, and what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quantity {
    /// For a percentage the number before the sign.
    value: Rational,
    /// In lower case and the singular.
    unit: Option<String>,
}

/// Marks that stand before an amount.
const CURRENCIES: [(&str, &str); 9] = [
    ("$", "dollar"),
    ("US$", "dollar"),
    ("€", "euro"),
    ("£", "pound"),
    ("₹", "rupee"),
    ("Rs.", "rupee"),
    ("Rs", "rupee"),
    ("¥", "yen"),
    ("₩", "won"),
];

/// Reads tidied text as a quantity: an integer with or without thousands separators, a decimal, a fraction, or a mixed
/// number, with a sign, and with a currency sign before it or a unit after it. `None` for anything else.
pub(super) fn quantity(tidied: &str) -> Option<Quantity> {
    let (mut negative, mut rest) = sign(tidied.trim());
    let currency =
        CURRENCIES.into_iter().find_map(|(mark, unit)| rest.strip_prefix(mark).map(|after| (unit, after.trim_start())));
    if let Some((_, after)) = currency {
        let (inner_negative, after) = sign(after);
        if negative && inner_negative {
            return None;
        }
        (negative, rest) = (negative || inner_negative, after);
    }
    let (magnitude, rest) = magnitude(rest)?;
    let unit = match (currency, unit(rest)?) {
        (Some((before, _)), None) => Some(before.to_owned()),
        // A rate of money is money: `$18 per day`.
        (Some((before, _)), Some(after)) if after.starts_with("per ") || after == "each" || after == "apiece" => {
            Some(before.to_owned())
        }
        (Some((before, _)), Some(after)) if after != before => return None,
        (_, after) => after,
    };
    Some(Quantity { value: if negative { magnitude.checked_neg()? } else { magnitude }, unit })
}

/// Whether two quantities are the same. A unit that only one of them has is taken as understood; so is the percent sign,
/// except where an answer of `0.5%` might stand against the number `0.5`.
pub(super) fn same_quantity(reference: &Quantity, answer: &Quantity) -> bool {
    let is_percent = |quantity: &Quantity| quantity.unit.as_deref() == Some(PERCENT);
    let fraction = |quantity: &Quantity| quantity.value.checked_div(Rational::HUNDRED);
    let equal = reference.value == answer.value;
    match (is_percent(reference), is_percent(answer)) {
        (true, false) if answer.unit.is_none() => equal || fraction(reference) == Some(answer.value),
        (false, true) if reference.unit.is_none() => {
            let above_one = !reference.value.is_proper() && reference.value != Rational::ONE;
            equal && above_one || fraction(answer) == Some(reference.value)
        }
        _ => equal && (reference.unit.is_none() || answer.unit.is_none() || reference.unit == answer.unit),
    }
}

/// A sign and what follows it.
fn sign(text: &str) -> (bool, &str) {
    match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(rest), _) => (true, rest.trim_start()),
        (_, Some(rest)) => (false, rest.trim_start()),
        _ => (false, text),
    }
}

/// An unsigned number and what follows it.
fn magnitude(text: &str) -> Option<(Rational, &str)> {
    if text.starts_with("\\frac") {
        return latex_fraction(text);
    }
    let (number, rest) = decimal(text)?;
    if let Some((scaled, rest)) = scaled(number, rest) {
        return Some((scaled, rest));
    }
    if let Some(after) = rest.trim_start().strip_prefix('/') {
        let (divisor, rest) = decimal(after.trim_start())?;
        return Some((number.checked_div(divisor)?, rest));
    }
    let mixed = if rest.trim_start().starts_with("\\frac") {
        Some(latex_fraction(rest.trim_start())?)
    } else if rest.starts_with(' ') && rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
        let (numerator, after) = decimal(rest.trim_start())?;
        let (denominator, after) = decimal(after.strip_prefix('/')?)?;
        Some((numerator.checked_div(denominator)?, after))
    } else {
        None
    };
    match mixed {
        Some((part, after)) if number.is_integer() && part.is_proper() => Some((number.checked_add(part)?, after)),
        Some(_) => None,
        None => Some((number, rest)),
    }
}

/// `\frac{a}{b}` of two signed decimals and what follows it.
fn latex_fraction(text: &str) -> Option<(Rational, &str)> {
    let (numerator, rest) = braced(text.strip_prefix("\\frac")?)?;
    let (denominator, rest) = braced(rest)?;
    Some((numerator.checked_div(denominator)?, rest))
}

/// A signed decimal in braces and what follows them.
fn braced(text: &str) -> Option<(Rational, &str)> {
    let (inside, rest) = text.trim_start().strip_prefix('{')?.split_once('}')?;
    let (negative, digits) = sign(inside.trim());
    let (number, left_over) = decimal(digits)?;
    let number = if negative { number.checked_neg()? } else { number };
    left_over.trim().is_empty().then_some((number, rest))
}

/// A number with a power of ten, `1.2e-4`, and what follows it.
fn scaled(number: Rational, rest: &str) -> Option<(Rational, &str)> {
    let (negative, exponent) = sign(rest.strip_prefix(['e', 'E'])?);
    let (exponent, rest) = digits(exponent);
    let power = Rational::new(10, 1)?.checked_pow(exponent.parse().ok().filter(|exponent| *exponent < 30)?)?;
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '^');
    let scaled = if negative { number.checked_div(power) } else { number.checked_mul(power) };
    scaled.filter(|_| ends).map(|scaled| (scaled, rest))
}

/// The digits of `\overline{36}` that repeat for ever after a decimal, and what follows them.
fn repeated(text: &str) -> Option<(&str, &str)> {
    let (inside, rest) = text.strip_prefix("\\overline{")?.split_once('}')?;
    (!inside.is_empty() && inside.len() < 16 && inside.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some((inside, rest))
}

/// An unsigned decimal and what follows it: `12`, `1,234`, `1,234.5`, `10 000`, `.5`, `0.\overline{3}`.
fn decimal(text: &str) -> Option<(Rational, &str)> {
    let (head, mut rest) = digits(text);
    let mut whole = head.to_owned();
    let groups = (1..=3).contains(&head.len()) && !head.starts_with('0');
    while groups && let Some(after) = rest.strip_prefix(' ') {
        let (group, after) = digits(after);
        if group.len() != 3 || after.starts_with([',', '/']) {
            break;
        }
        whole.push_str(group);
        rest = after;
    }
    while let Some(after) = rest.strip_prefix(',').filter(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
        let (group, after) = digits(after);
        if !groups || group.len() != 3 {
            return None;
        }
        whole.push_str(group);
        rest = after;
    }
    let (decimals, rest) = match rest.strip_prefix('.') {
        Some(after) => digits(after),
        None => ("", rest),
    };
    if let Some((repeated, after)) = repeated(rest).filter(|_| text[..text.len() - rest.len()].contains('.')) {
        // The digits once, divided by as many nines, behind the decimals before them.
        let nines = Rational::from_digits(&"9".repeat(repeated.len()), "")?;
        let shift = Rational::new(10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?, 1)?;
        let part = Rational::from_digits(repeated, "")?.checked_div(nines)?.checked_div(shift)?;
        return Some((Rational::from_digits(&format!("0{whole}"), decimals)?.checked_add(part)?, after));
    }
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    Some((Rational::from_digits(&whole, decimals)?, rest))
}

/// Leading ASCII digits and what follows them.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::super::latex::tidy;
    use super::*;

    fn value(text: &str) -> Option<Rational> {
        quantity(&tidy(text)).map(|quantity| quantity.value)
    }

    #[test]
    fn reads_numbers_exactly() {
        for (text, numerator, denominator) in [
            ("18", 18, 1),
            ("-3", -3, 1),
            ("+3", 3, 1),
            ("1,234,567", 1_234_567, 1),
            ("1,234.50", 2469, 2),
            (".79", 79, 100),
            ("3/4", 3, 4),
            (r"-\frac{1}{2}", -1, 2),
            (r"\frac{-7}{23}", -7, 23),
            (r"\frac58", 5, 8),
            (r"1\frac{1}{2}", 3, 2),
            ("1 1/2", 3, 2),
            ("-1 1/2", -3, 2),
            (r"\$23{,}000", 23_000, 1),
            ("$-5", -5, 1),
            ("-$5", -5, 1),
            ("16 apples", 16, 1),
            (r"16\text{ daps}", 16, 1),
            (r"25\text{ cm}^2", 25, 1),
            (r"60^\circ", 60, 1),
            ("18 dollars per day", 18, 1),
        ] {
            assert_eq!(value(text), Rational::new(numerator, denominator), "{text}");
        }
    }

    #[test]
    fn leaves_what_is_no_quantity() {
        for text in [
            "",
            "x",
            "5x",
            "9y",
            "5 x",
            r"48\pi",
            "5 pi",
            "2 million",
            "3 dozen",
            "1,2",
            "12,34",
            "1234,567",
            "0,123",
            "1/2/3",
            "1/0",
            "2215_6",
            "3:30",
            "5 feet 3 inches",
            "6-3i",
            "8+4i",
            "1 2",
            "3 3/2",
            "1.5 1/2",
            "--5",
            "-$-5",
            "$5 euros",
            "5 or 6",
            "2^3",
            "1.2.3",
            "5e",
            "5e3x",
        ] {
            assert_eq!(quantity(&tidy(text)), None, "{text}");
        }
    }
}
