//! Words that make a calculation doubtful: where one stands, an equation that does not hold may not be meant as one.

/// Words before a calculation, and in it, that may belong to it: `half of 6 + 2`.
const BEFORE: &str = "average base cubed divided double doubled dozen fifth fourth fraction half halved if lcm less log max \
    maximum mean min minimum minus mod modulo multiplied negative over plus quadruple quarter quarters ratio \
    remainder root sqrt square squared than third thirds thrice times triple tripled twice without";

/// Words behind a result that may belong to it: `= 3 more than 5`, `= 3 remainder 2`, `= 7 o'clock`.
const BEHIND: &str = "am base binary cubed factorial mod modulo o'clock pm r remainder squared";

/// Words that begin a thought: what stands before them belongs to no calculation behind them.
const BEGINNINGS: &str = "are be because become becomes get gets got had has have hence is it's made make makes since so that that's \
    then therefore thus was were which";

/// Words that a number may follow as a name: `day 1`.
const NUMBERED: &str = "box case chapter class day days equation figure floor game grade group hour item level line month no \
    number option page part phase plan player problem quarter question room round row section stage step table \
    test trial type week weeks year";

/// Words that lead from a number to a calculation behind it: `5 and 3 + 4`, `1/2 of the 20 + 5`.
const CONNECTIONS: &str = "and at between by each for from in into of or per to with";

/// Words that say that what stands in their sentence is not claimed.
const DENIALS: &str = "assume assuming contradiction error false guess impossible incorrect instead mistake mistaken suppose \
    supposed wrong wrongly";

/// Words that deny what stands beside them.
const NEGATIONS: &str = "aren't can't cannot doesn't don't isn't never no not wasn't wouldn't";

/// Words that multiply what stands before them.
const SCALES: &str = "b billion billions bn couple crore dozen dozens gross half halves hundred hundreds hundredth hundredths k \
    lakh m million millions mn pair pairs percent percentage quarter quarters score tens tenth tenths third \
    thirds thousand thousands trillion trillions";

/// Of these the ones that a sentence may leave to its other numbers: `5 thousand dollars .., 5 * 3 = $15,000`.
const LARGE: &str = "billion hundred hundreds million millions thousand thousands";

/// Units that are converted into one another, in lower case and the singular; each line is one dimension.
const DIMENSIONS: &[&str] = &[
    "s sec second min minute h hr hour day week fortnight month year yr decade century centurie semester \
     weekend weekday",
    "mm millimeter millimetre cm centimeter centimetre dm m meter metre km kilometer kilometre in inch inche ft \
     foot feet yd yard mi mile block lap",
    "mg milligram g gram kg kilogram kilo t ton tonne oz ounce lb pound stone",
    "ml milliliter millilitre cl l liter litre oz ounce cup pint quart gallon tablespoon teaspoon tbsp tsp gal \
     pt qt",
    "$ dollar buck usd cent ¢ penny penni pennie nickel dime quarter € euro £ pound pence",
    "bit byte kb mb gb tb",
    "degree radian rad deg",
];

/// Short words that are no unknowns.
const SHORT: &str = "a i am an as at be by do go he if in is it me my no of on or pm so to up us we cm mm km dm kg mg ml cl ft \
    lb oz mi hr yd pt qt kb mb gb tb mn bn";

/// Whether a word stands in a list of words with blanks between.
pub(super) fn is_in(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

pub(super) fn operates_before(word: &str) -> bool {
    is_in(BEFORE, word)
}

pub(super) fn operates_behind(word: &str) -> bool {
    is_in(BEHIND, word)
}

pub(super) fn is_numbered(word: &str) -> bool {
    is_in(NUMBERED, word)
}

pub(super) fn begins(word: &str) -> bool {
    is_in(BEGINNINGS, word)
}

pub(super) fn connects(word: &str) -> bool {
    is_in(CONNECTIONS, word)
}

pub(super) fn negates(word: &str) -> bool {
    is_in(NEGATIONS, word)
}

pub(super) fn denies(word: &str) -> bool {
    is_in(DENIALS, word)
}

pub(super) fn scales(word: &str) -> bool {
    is_in(SCALES, word)
}

pub(super) fn is_large(word: &str) -> bool {
    is_in(LARGE, word)
}

/// Whether a word may stand for a number that is not known: `x`, `ab`.
pub(super) fn may_be_unknown(word: &str) -> bool {
    word.chars().count() <= 2 && !is_in(SHORT, word)
}

/// Whether two units measure the same thing in different measures: minutes and hours.
pub(super) fn converts(one: &str, other: &str) -> bool {
    let (one, other) = (singular(one), singular(other));
    one != other && DIMENSIONS.iter().any(|units| is_in(units, one) && is_in(units, other))
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|stem| !stem.is_empty() && !stem.ends_with('s')).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_one_thing_convert() {
        for (one, other) in [("minutes", "hour"), ("inches", "feet"), ("$", "cents"), ("kg", "grams"), ("dimes", "$")] {
            assert!(converts(one, other), "{one} {other}");
        }
        for (one, other) in [("hours", "hour"), ("apples", "oranges"), ("hours", "$"), ("glass", "glasses")] {
            assert!(!converts(one, other), "{one} {other}");
        }
    }
}
