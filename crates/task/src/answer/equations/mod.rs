//! The equations of a text, each calculated again.
//!
//! ```text
//!  text ──scan──► tokens ──► the calculations on both sides of each sign ──weigh──► holds, fails, unclear
//! ```
//!
//! Read are calculations of numbers alone: sums, products, quotients, powers, roots, fractions, percentages, with units and
//! currencies, in plain text and in LaTeX. What has an unknown in it is passed over, and so is what may have one. An
//! equation that does not hold counts as false only where it can be read in no other way: words beside it (`half of`,
//! `remainder`), units that convert into one another, results that were rounded before, a chain that goes on (`2 + 3 = 5 * 4 =
//! 20`) make it unclear. A reader that calls right work false would destroy right labels.

mod doubt;
mod formula;
mod operand;
mod rounding;
mod scan;
mod scan_latex;
mod scan_words;
#[cfg(test)]
mod tests;
mod token;
mod weigh;
mod words;

use std::ops::Range;

/// What a calculation again says of an equation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Both sides are the same: exactly, or, where one of them is a decimal that was written down, as far as it is written.
    Holds,
    /// They are not.
    Fails,
    /// They are not, as far as the equation can be read; but it may be meant otherwise, and this says how.
    Unclear(&'static str),
}

/// An equation in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equation {
    /// Where it stands, in bytes.
    pub at: Range<usize>,
    /// The value of its left side: an integer or a fraction, `7/2`.
    pub left: String,
    /// The value of its right side.
    pub right: String,
    /// Whether they are the same.
    pub truth: Truth,
}

/// Every equation of a text that only numbers stand in, in the order of their signs; of a chain, `a = b = c`, both of them.
///
/// At least one side calculates: `1 hour = 60 minutes` is none. GSM8K's annotations, `<<48/2=24>>`, are read beside the text
/// that they stand in. The time that it takes grows with the text's length, whatever the text is.
///
/// ```
/// use espalier_task::{Truth, equations};
///
/// let text = "She buys 6 * 8 = 48 pens, so $x = 5$. That is 16 + 16 = 20 dollars.";
/// let found = equations(text);
/// assert_eq!(found.len(), 2);
/// assert_eq!((&text[found[0].at.clone()], found[0].truth), ("6 * 8 = 48", Truth::Holds));
/// assert_eq!((&found[1].left[..], &found[1].right[..], found[1].truth), ("32", "20", Truth::Fails));
/// ```
pub fn equations(text: &str) -> Vec<Equation> {
    let mut found = Vec::new();
    let mut plain = String::with_capacity(text.len());
    let mut rest = 0;
    // Annotations are replaced by nothing of the same length, so that places stay places.
    while let Some(open) = text[rest..].find("<<").map(|at| rest + at) {
        let inner = open + 2;
        let Some(close) =
            text[inner..].bytes().take(MAX_ANNOTATION).position(|byte| matches!(byte, b'>' | b'\n' | b'<'))
        else {
            break;
        };
        let close = inner + close;
        let is_closed = text[close..].starts_with(">>");
        let end = if is_closed { close + 2 } else { inner };
        plain.push_str(&text[rest..open]);
        plain.push_str(&" ".repeat(end - open));
        if is_closed {
            let inside = weigh::all(&text[inner..close]);
            found.extend(inside.into_iter().map(|equation| equation.moved(inner)));
        }
        rest = end;
    }
    plain.push_str(&text[rest..]);
    found.extend(weigh::all(&plain));
    found.sort_by_key(|equation| equation.at.start);
    found
}

/// Longest annotation, in bytes.
const MAX_ANNOTATION: usize = 400;

impl Equation {
    fn moved(self, by: usize) -> Equation {
        Equation { at: self.at.start + by..self.at.end + by, ..self }
    }
}
