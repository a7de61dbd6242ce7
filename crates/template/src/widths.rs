//! Widths that a template asks `str.format` to fill, counted before they are: minijinja looks at those of `%` alone.

use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Bytes that minijinja writes for one unit of its budget.
const BYTES_PER_FUEL: u64 = 64;

/// The methods of Python's texts, lists and maps.
pub(super) fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let ("format", Some(text), Some((_, fuel))) = (name, value.as_str(), state.fuel_levels())
        && asked_for(text) > fuel.saturating_mul(BYTES_PER_FUEL)
    {
        return Err(ErrorKind::OutOfFuel.into());
    }
    unknown_method_callback(state, value, name, args)
}

/// The sum of all numbers behind the colons of a format's fields, each a width or a precision.
fn asked_for(format: &str) -> u64 {
    let specs = format.split('{').filter_map(|field| field.split('}').next()?.split_once(':'));
    let digits = specs.flat_map(|(_, spec)| spec.split(|c: char| !c.is_ascii_digit()));
    digits.filter(|digits| !digits.is_empty()).fold(0, |sum, digits| {
        // What does not fit is more than any budget.
        sum.saturating_add(digits.parse::<u64>().unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::asked_for;

    #[test]
    fn widths_and_precisions_are_counted_and_texts_are_not() {
        assert_eq!(asked_for("call 18005551234 {} {0}"), 0);
        assert_eq!(asked_for("{:>10} and {0:08.3f}: 99"), 10 + 8 + 3);
        assert_eq!(asked_for("{:>99999999999999999999}{:1}"), u64::MAX);
    }
}
