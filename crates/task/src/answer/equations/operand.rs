//! The calculations on both sides of a sign.

use super::formula::Reader;
use super::token::{Kind, Token};
use super::words::may_be_unknown;
use crate::answer::expression::{Expr, parse};
use std::ops::Range;

/// Most tokens of one operand: that of a longer calculation is not looked for.
const WINDOW: usize = 64;

/// One side of an equation: a calculation of nothing but numbers.
#[derive(Debug)]
pub(super) struct Operand {
    /// Which tokens it is.
    pub tokens: Range<usize>,
    /// With percentages as hundredths.
    pub value: Expr,
    /// With the numbers before the percent signs, if there are any.
    pub plain_value: Option<Expr>,
    /// Operators in it, the bars of fractions among them.
    pub operators: usize,
    /// The first words behind each of its numbers.
    pub words: Vec<String>,
    /// The words behind its end.
    pub behind: Vec<String>,
    /// The first word behind each of its numbers, and currencies.
    pub units: Vec<String>,
    /// Which of its numbers are percentages.
    pub percentages: Percentages,
    /// Whether an `x` in it is taken for a sign.
    pub has_letter: bool,
    /// Whether it can be read in more than one way.
    pub is_ambiguous: bool,
}

/// Which of an operand's numbers are percentages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Percentages {
    None,
    Some,
    /// Some, and there are sums.
    Mixed,
    All,
}

impl Operand {
    /// Whether it is one number that was written down: a result.
    pub(super) fn is_number(&self) -> bool {
        self.operators == 0
    }

    /// The longest calculation that ends before the sign at `sign`, if it is whole: nothing before it belongs to it.
    pub(super) fn before(tokens: &[Token], sign: usize) -> Option<Operand> {
        let lowest = sign.saturating_sub(WINDOW);
        let stops = |kind: &Kind| kind.is_sign() || matches!(kind, Kind::Break(_) | Kind::Odd);
        let start = (lowest..sign).rev().find(|&at| stops(&tokens[at].kind)).map_or(lowest, |at| at + 1);
        let operand = (start..sign).find_map(|first| Operand::read(tokens, first, sign))?;
        let first = operand.tokens.start;
        let Some(before) = first.checked_sub(1).map(|at| &tokens[at]) else { return Some(operand) };
        if first == lowest && lowest > 0 {
            return None;
        }
        let is_signed = matches!(tokens[first].kind, Kind::Plus | Kind::Minus);
        let is_whole = match &before.kind {
            Kind::Break(_) | Kind::Equals | Kind::About => true,
            Kind::Close => !tokens[first].is_glued && is_item(&tokens[..first]),
            // Not `100 + (100 * 2 = 300`.
            Kind::Open(_) => tokens[..first]
                .iter()
                .rev()
                .find(|token| !matches!(token.kind, Kind::Open(_)))
                .is_none_or(|token| matches!(token.kind, Kind::Word(_) | Kind::Break(_)) || token.kind.is_sign()),
            // Not `f(2)`, nor `n 3`, nor `cost - 3`, nor `x + his 3`.
            Kind::Word(word) => {
                let other = tokens[..first].iter().rev().find(|token| !matches!(token.kind, Kind::Word(_)));
                let belongs = tokens[first].is_glued || is_signed || may_be_unknown(word);
                !belongs && other.is_none_or(|token| !token.kind.is_operator() && token.kind != Kind::Odd)
            }
            _ => false,
        };
        is_whole.then_some(operand)
    }

    /// The longest calculation that begins after the sign at `sign`, if it is whole.
    pub(super) fn after(tokens: &[Token], sign: usize) -> Option<Operand> {
        let first = sign + 1;
        let end = tokens.len().min(first + WINDOW);
        let stops = |kind: &Kind| kind.is_sign() || matches!(kind, Kind::Break(_) | Kind::Odd);
        let last = (first..end).find(|&at| stops(&tokens[at].kind)).unwrap_or(end);
        let operand = (first + 1..=last).rev().find_map(|end| Operand::read(tokens, first, end))?;
        let is_apart = matches!(tokens[operand.tokens.end - 1].kind, Kind::Word(_));
        let is_whole = match tokens.get(operand.tokens.end).map(|token| &token.kind) {
            None | Some(Kind::Break(_) | Kind::Equals | Kind::About | Kind::Close) => true,
            Some(Kind::Word(word)) => !is_unknown(tokens, operand.tokens.end, word),
            Some(Kind::Open(_)) => is_apart || !tokens[operand.tokens.end].is_glued,
            Some(Kind::Number(..) | Kind::Odd | Kind::Currency) => is_apart,
            Some(_) => false,
        };
        is_whole.then_some(operand)
    }

    /// Reads tokens that are one calculation from the first to the last.
    pub(super) fn read(tokens: &[Token], first: usize, end: usize) -> Option<Operand> {
        let mut reader = Reader::new(&tokens[first..end]);
        reader.read()?;
        let Reader {
            text,
            plain,
            operators,
            words,
            behind,
            units,
            percentages,
            numbers,
            adds,
            has_letter,
            is_ambiguous,
            ..
        } = reader;
        let value = parse(&text)?;
        let plain_value = if percentages > 0 { Some(parse(&plain)?) } else { None };
        let percentages = match percentages {
            0 => Percentages::None,
            all if all == numbers => Percentages::All,
            _ if adds => Percentages::Mixed,
            _ => Percentages::Some,
        };
        let tokens = first..end;
        Some(Operand {
            tokens,
            value,
            plain_value,
            operators,
            words,
            behind,
            units,
            percentages,
            has_letter,
            is_ambiguous,
        })
    }
}

/// Whether tokens end with the number of an item: `1)`, `(a)` at the begin of a line.
fn is_item(tokens: &[Token]) -> bool {
    let kinds: Vec<&Kind> = tokens.iter().rev().take(4).map(|token| &token.kind).collect();
    match kinds[..] {
        [Kind::Close, Kind::Number(..) | Kind::Word(_), Kind::Open(_), ref rest @ ..]
        | [Kind::Close, Kind::Number(..) | Kind::Word(_), ref rest @ ..] => {
            rest.first().is_none_or(|kind| matches!(kind, Kind::Break('\n')))
        }
        _ => false,
    }
}

/// Whether a word behind an operand may be a letter that it is multiplied by: `5A`, `5 a`, but `5 a day`.
pub(super) fn is_unknown(tokens: &[Token], at: usize, word: &str) -> bool {
    let goes_on = || matches!(tokens.get(at + 1), Some(Token { kind: Kind::Word(_), is_glued: false, .. }));
    may_be_unknown(word) || word.chars().count() == 1 && (tokens[at].is_glued || !goes_on())
}
