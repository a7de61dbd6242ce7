//! Whether an equation holds.

use super::doubt::{reading_doubt, value_doubt, word_doubt};
use super::operand::{Operand, Percentages};
use super::rounding::is_written;
use super::scan::scan;
use super::token::{Kind, Token};
use super::{Equation, Truth};
use crate::answer::expression::exact;
use crate::answer::rational::Rational;

/// The equations of a text without annotations.
pub(super) fn all(text: &str) -> Vec<Equation> {
    let tokens = scan(text);
    let has_x = tokens.iter().any(|token| matches!(&token.kind, Kind::Word(word) if word == "x"));
    let signs = (0..tokens.len()).filter(|&at| tokens[at].kind.is_sign());
    signs.filter_map(|sign| weigh(&tokens, sign, has_x)).collect()
}

fn weigh(tokens: &[Token], sign: usize, has_x: bool) -> Option<Equation> {
    let left = Operand::before(tokens, sign)?;
    let right = Operand::after(tokens, sign)?;
    let found = compare(tokens, sign, &left, &right, has_x);
    let Some(item) = as_item(tokens, sign, &left) else { return found };
    match found {
        Some(Equation { truth: Truth::Holds, .. }) => found,
        _ => compare(tokens, sign, &item, &right, has_x),
    }
}

/// A left side without the dash before it, which may mark an item of a list: `- 6 * 8 = 48`.
fn as_item(tokens: &[Token], sign: usize, left: &Operand) -> Option<Operand> {
    let first = left.tokens.start;
    let begins_line = first.checked_sub(1).is_none_or(|at| tokens[at].kind == Kind::Break('\n'));
    let is_dash = tokens[first].kind == Kind::Minus && !tokens[first + 1].is_glued;
    if begins_line && is_dash { Operand::read(tokens, first + 1, sign) } else { None }
}

fn compare(tokens: &[Token], sign: usize, left: &Operand, right: &Operand, has_x: bool) -> Option<Equation> {
    if left.is_number() && (right.is_number() || !is_result(tokens, left)) {
        return None;
    }
    let (one, other) = (exact(&left.value)?, exact(&right.value)?);
    let is_about = tokens[sign].kind == Kind::About;
    let plain = |operand: &Operand, value: Rational| operand.plain_value.as_ref().map_or(Some(value), exact);
    let readings = [Some((one, other)), plain(left, one).zip(plain(right, other))];
    let holds = readings.into_iter().flatten().any(|(one, other)| same(left, one, right, other, is_about));
    let truth = if holds {
        Truth::Holds
    } else {
        let doubt = reading_doubt(tokens, left, right, has_x)
            .or_else(|| value_doubt(tokens, (left, one), (right, other), is_about))
            .or_else(|| word_doubt(tokens, left, right));
        doubt.map_or(Truth::Fails, Truth::Unclear)
    };
    let start = tokens[left.tokens.start].at.start;
    let end = last_of_calculation(tokens, right);
    Some(Equation { at: start..end, left: shown(one), right: shown(other), truth })
}

/// Where an operand ends, without the words behind it.
fn last_of_calculation(tokens: &[Token], right: &Operand) -> usize {
    let last = right.tokens.clone().rev().find(|&at| !matches!(tokens[at].kind, Kind::Word(_)));
    tokens[last.unwrap_or(right.tokens.start)].at.end
}

fn shown(value: Rational) -> String {
    match value.denominator() {
        1 => value.numerator().to_string(),
        denominator => format!("{}/{denominator}", value.numerator()),
    }
}

/// Whether both sides are the same, a written decimal as far as it is written.
fn same(left: &Operand, one: Rational, right: &Operand, other: Rational, is_about: bool) -> bool {
    one == other
        || right.is_number() && is_written(&right.value, other, one, is_about)
        || left.is_number() && is_written(&left.value, one, other, is_about)
}

/// Whether a number on the left is a result and no name: `1 box = 3 + 4`, `Day 3 = 5 + 4`.
fn is_result(tokens: &[Token], left: &Operand) -> bool {
    match left.tokens.start.checked_sub(1).map(|at| &tokens[at].kind) {
        Some(Kind::Equals | Kind::About) => true,
        None | Some(Kind::Break(_)) => left.words.is_empty() && left.percentages == Percentages::None,
        _ => false,
    }
}
