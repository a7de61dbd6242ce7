//! What a number counts: names of units, and the words that are none.

use super::latex::{TEXT_CLOSES, TEXT_OPENS};

pub(super) const PERCENT: &str = "%";

/// Words after a number, in the singular, that change its value or make it something else than a quantity.
const NOT_UNITS: &str = "pi sqrt sin cos tan log ln exp inf infinity or and to plus minus times over by less more than mod \
    base squared cubed cube root choose half halve third quarter fourth fifth sixth seventh eighth ninth \
    tenth hundredth thousandth millionth hundred thousand million billion trillion dozen score gross \
    lakh crore bn mn tn mil is are was were not isn no nor below above under zero wrong right correct \
    incorrect negative positive point one two three four five six seven eight nine ten approximately \
    about if when because since but then therefore modulo factorial percent";

/// Names of units of two letters. Other pairs of letters after a number are a product.
const SHORT_UNITS: [&str; 26] = [
    "cm", "mm", "km", "dm", "nm", "kg", "mg", "ml", "cl", "ft", "in", "lb", "oz", "mi", "hr", "yd", "pt", "qt", "hz",
    "mw", "kw", "kj", "gb", "mb", "kb", "mp",
];

/// Short and irregular names of units, in the singular.
const UNIT_NAMES: [(&str, &str); 20] = [
    ("inche", "inch"),
    ("feet", "foot"),
    ("ft", "foot"),
    ("lb", "pound"),
    ("oz", "ounce"),
    ("mi", "mile"),
    ("min", "minute"),
    ("hr", "hour"),
    ("sec", "second"),
    ("mm", "millimeter"),
    ("cm", "centimeter"),
    ("km", "kilometer"),
    ("centimetre", "centimeter"),
    ("kilometre", "kilometer"),
    ("metre", "meter"),
    ("mg", "milligram"),
    ("kg", "kilogram"),
    ("ml", "milliliter"),
    ("mph", "mile per hour"),
    ("sq", "square"),
];

/// The unit that the whole of `text` is: `Some(None)` for no text, `None` for text that is no unit.
#[expect(clippy::option_option, reason = "no unit and not a unit are different answers")]
pub(super) fn unit(text: &str) -> Option<Option<String>> {
    let spaced = text.is_empty() || text.starts_with(char::is_whitespace);
    let text = text.trim();
    match text {
        "" => return Some(None),
        "%" | "percent" | "per cent" => return Some(Some(PERCENT.to_owned())),
        "°" => return Some(Some("degree".to_owned())),
        "$" => return Some(Some("dollar".to_owned())),
        _ => {}
    }
    // Words need a space before them (`5 apples`, not `5x`) or must be marked as text (`5\text{cm}`).
    let marked = text.starts_with(TEXT_OPENS);
    let power = ["^2", "^3", "^{2}", "^{3}"].into_iter().find(|power| text.ends_with(power)).unwrap_or_default();
    let words: String =
        text[..text.len() - power.len()].chars().filter(|&c| c != TEXT_OPENS && c != TEXT_CLOSES).collect();
    let words: Vec<String> = words.split_whitespace().map(lower).collect();
    let is_unit_word = |word: &String| {
        let is_long_enough = marked
            || match word.chars().count() {
                1 => false,
                2 => SHORT_UNITS.contains(&word.to_lowercase().as_str()),
                3 => {
                    word.contains(['a', 'e', 'i', 'o', 'u', '/'])
                        || UNIT_NAMES.iter().any(|(name, _)| name == word)
                        || word == "lbs"
                        || word == "hrs"
                        || word == "kwh"
                }
                _ => true,
            };
        let letters = word.chars().all(|c| c.is_alphabetic() || matches!(c, '/' | '-'));
        let is_unit = |word: &str| !NOT_UNITS.split(' ').any(|other| other == word);
        is_long_enough && letters && is_unit(word) && word.strip_suffix('s').is_none_or(is_unit)
    };
    if !(spaced || marked) || words.is_empty() || words.len() > 4 || !words.iter().all(is_unit_word) {
        return None;
    }
    // A square alone is no unit: `5 square`.
    if words.last().is_some_and(|word| matches!(word.as_str(), "square" | "cubic")) {
        return None;
    }
    let singular = |word: &String| {
        let word = match word.strip_suffix('s') {
            Some(stem) if stem.chars().count() > 1 && !stem.ends_with('s') => stem,
            _ => word,
        };
        UNIT_NAMES.iter().find(|(name, _)| *name == word).map_or(word, |(_, full)| full).to_owned()
    };
    let unit = words.iter().map(singular).collect::<Vec<_>>().join(" ") + power.trim_matches(['{', '}']);
    Some(Some(unit.replace("^{", "^")))
}

/// A unit's word in lower case, but for a prefix that is another in capitals: `MW` is no `mW`.
fn lower(word: &str) -> String {
    let is_symbol = matches!(
        word.as_bytes(),
        [b'M', b'W' | b'g' | b'H' | b'J' | b'V' | b'N' | b'm' | b'L' | b'l' | b's' | b'A', ..]
    );
    if is_symbol && word.len() <= 3 { word.to_owned() } else { word.to_lowercase() }
}
