//! Finding a model's answer and deciding whether it equals the reference.
//!
//! ```text
//!  text ─► boxed ──┐                        ┌─► quantity    exact numbers and units
//!          extract ├─► answer ─► tidy ──────┼─► relation    equations, inequalities
//!                  │             (LaTeX)    ├─► collection  lists, tuples, intervals, sets, unions, matrices
//!     reference ───┘                        ├─► expression  formulas, as functions
//!                                           └─► text
//! ```

mod boxed;
mod collection;
mod countdown;
mod equations;
mod equivalent;
mod expression;
mod extract;
mod kind;
mod latex;
mod phrase;
mod quantity;
mod rational;
mod relation;
mod route;
#[cfg(test)]
mod tests;
mod unit;

pub use boxed::boxed;
pub use countdown::Puzzle;
pub use equations::{Equation, Truth, equations};
pub use equivalent::equivalent;
pub(crate) use extract::last_number;
pub use extract::{FoundBy, extract};
pub use kind::AnswerKind;
pub use route::{Cell, Heading, Route};
