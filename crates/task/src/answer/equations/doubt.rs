//! Where an equation that does not hold may not be meant as one.

use super::operand::{Operand, Percentages};
use super::rounding::{at_most, interval, is_rounded, is_written, near};
use super::token::{Kind, Token};
use super::words::{
    begins, connects, converts, denies, is_large, is_numbered, negates, operates_before, operates_behind, scales,
};
use crate::answer::expression::{Expr, exact};
use crate::answer::rational::Rational;

/// Words beside an operand that are looked at.
const NEAR: usize = 3;
/// Tokens of a sentence that are looked at, to both sides.
const SENTENCE: usize = 24;

/// Doubts about how the sides are read.
pub(super) fn reading_doubt(tokens: &[Token], left: &Operand, right: &Operand, has_x: bool) -> Option<&'static str> {
    if left.is_ambiguous || right.is_ambiguous {
        return Some("it can be read in more than one way");
    }
    if (left.has_letter || right.has_letter) && has_x {
        return Some("x may be an unknown");
    }
    match (left.percentages, right.percentages) {
        (Percentages::Mixed, _) | (_, Percentages::Mixed) => return Some("percentages are added to numbers"),
        (Percentages::All, Percentages::None) | (Percentages::None, Percentages::All) => {
            return Some("percentages are compared with numbers");
        }
        _ => {}
    }
    // `14, 400 / 80`: a number that a blank was written into.
    let [.., before, comma] = &tokens[..left.tokens.start] else { return None };
    let is_group = tokens[left.tokens.start].at.len() == 3 && matches!(before.kind, Kind::Number(..));
    (is_group && comma.kind == Kind::Break(',')).then_some("a number before it may belong to it")
}

/// Doubts about results that were rounded, or that a chain goes on from.
pub(super) fn value_doubt(
    tokens: &[Token],
    (left, one): (&Operand, Rational),
    (right, other): (&Operand, Rational),
    is_about: bool,
) -> Option<&'static str> {
    if is_about {
        return near(one, other).unwrap_or(true).then_some("about the same");
    }
    let whole = |number: &Operand, written: Rational, value: Rational| {
        number.is_number()
            && written.is_integer()
            && !value.is_integer()
            && is_rounded(written, value, Rational::ONE) == Some(true)
    };
    if whole(right, other, one) || whole(left, one, other) {
        return Some("rounded to a whole number");
    }
    // `2 + 3 = 5 * 4 = 20`: the result stands for the left side, and the chain goes on from it.
    let goes_on = tokens.get(right.tokens.end).is_some_and(|token| token.kind.is_sign());
    if goes_on && !right.is_number() && begins_with(&right.value, one) {
        return Some("the chain goes on from a result");
    }
    match (interval(&left.value), interval(&right.value)) {
        (Some((low, high)), Some((least, most))) if at_most(low, most)? && at_most(least, high)? => {
            Some("calculated from rounded numbers")
        }
        _ => None,
    }
}

/// Whether a calculation begins with a number that is this value, as it would be written.
fn begins_with(expr: &Expr, value: Rational) -> bool {
    match expr {
        Expr::Sum(terms) | Expr::Product(terms) => terms.first().is_some_and(|first| begins_with(first, value)),
        Expr::Quotient(first, _) | Expr::Power(first, _) => begins_with(first, value),
        number => exact(number)
            .is_some_and(|number_value| number_value == value || is_written(number, number_value, value, false)),
    }
}

/// Doubts about the words around.
pub(super) fn word_doubt(tokens: &[Token], left: &Operand, right: &Operand) -> Option<&'static str> {
    let words = || left.words.iter().chain(&right.words).map(String::as_str);
    if words().any(scales) {
        return Some("a word multiplies a number");
    }
    let units: Vec<&str> = left.units.iter().chain(&right.units).map(String::as_str).collect();
    if units.iter().any(|one| units.iter().any(|other| converts(one, other))) {
        return Some("units convert into one another");
    }
    // A fraction with a unit is an amount, and no quotient: `1/2 a cup = 4 ounces`.
    if left.operators == 1
        && !left.words.is_empty()
        && matches!(left.value, Expr::Quotient(..))
        && tokens[left.tokens.start + 1].is_glued
    {
        return Some("the left side may be an amount");
    }
    let preceding = || tokens[..left.tokens.start].iter().rev().map_while(word);
    let before: Vec<&str> = preceding().take_while(|word| !begins(word)).take(NEAR + 1).collect();
    // `square feet` is a unit.
    let inside = left.words.iter().map(String::as_str).filter(|word| *word != "square");
    // `day 1 * 2`: the first number may be the word's.
    let is_counted = before.first().is_some_and(|word| is_numbered(word));
    if is_counted || before.iter().copied().chain(inside).any(operates_before) {
        return Some("a word before it may belong to it");
    }
    // `= 20 times 2 people`, `= 3 more than 5`.
    let is_in_words = tokens[right.tokens.clone()].iter().any(|token| token.is_word);
    let begins_number = |token: &Token| matches!(token.kind, Kind::Number(..) | Kind::Currency);
    let is_compared = right.behind.last().is_some_and(|word| word == "than")
        && tokens.get(right.tokens.end).is_some_and(begins_number);
    if is_in_words || is_compared || right.behind.iter().take(NEAR).any(|word| operates_behind(word)) {
        return Some("a word behind it may belong to it");
    }
    let ends_number = |token: &Token| matches!(token.kind, Kind::Number(..) | Kind::Percent);
    let is_listed = tokens[..left.tokens.start].iter().rev().nth(before.len()).is_some_and(ends_number);
    if is_listed && before.iter().any(|word| connects(word)) {
        return Some("a number before it may belong to it");
    }
    if preceding().take(NEAR).chain(right.behind.iter().take(NEAR).map(String::as_str)).any(negates) {
        return Some("its sentence may deny it");
    }
    let is_end = |token: &&Token| !matches!(token.kind, Kind::Break('.' | '\n' | '!'));
    let head = tokens[..left.tokens.start].iter().rev().take(SENTENCE).take_while(is_end);
    let tail = tokens[right.tokens.start..].iter().take(SENTENCE).take_while(is_end);
    for token in head.chain(tail) {
        if token.kind == Kind::Break('?') || word(token).is_some_and(denies) {
            return Some("its sentence may deny it");
        }
        if word(token).is_some_and(is_large) {
            return Some("its sentence may speak of thousands");
        }
    }
    None
}

fn word(token: &Token) -> Option<&str> {
    match &token.kind {
        Kind::Word(word) => Some(word),
        _ => None,
    }
}
