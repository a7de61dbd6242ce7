//! What a text of calculations is made of.

use std::ops::Range;

/// A piece of a text, as far as calculations go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    /// Where it stands in the text, in bytes.
    pub at: Range<usize>,
    /// Whether it touches what stands before it.
    pub is_glued: bool,
    /// Of an operator: whether it is written as a word.
    pub is_word: bool,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits before and after the point, without separators.
    Number(String, String),
    /// `%` behind a number.
    Percent,
    /// `$`, `€`, `£` before a number.
    Currency,
    Plus,
    Minus,
    /// `*`, `×`, `\cdot`, `times`; `x` between two operands is marked by `true`, since it may be an unknown after all.
    Times(bool),
    Over,
    Power,
    /// The root of the group that follows.
    Root,
    /// `(`, `[`, `{`; `true` opens a fraction that was written as one, `\frac{..}{..}` or `½`.
    Open(bool),
    Close,
    /// `=`.
    Equals,
    /// `≈`.
    About,
    /// In lower case.
    Word(String),
    /// What no calculation crosses: punctuation, the end of a line, another relation.
    Break(char),
    /// What may belong to a calculation and is not understood.
    Odd,
}

impl Kind {
    /// `=` or `≈`.
    pub(super) fn is_sign(&self) -> bool {
        matches!(self, Kind::Equals | Kind::About)
    }

    pub(super) fn is_operator(&self) -> bool {
        matches!(self, Kind::Plus | Kind::Minus | Kind::Times(_) | Kind::Over | Kind::Power | Kind::Root)
    }

    /// Whether an operand may end with it.
    pub(super) fn ends_operand(&self) -> bool {
        matches!(self, Kind::Number(..) | Kind::Percent | Kind::Close | Kind::Word(_))
    }
}
