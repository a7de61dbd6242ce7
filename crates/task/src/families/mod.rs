//! Generated problems in words: families of stories, each told together with its worked solution.
//!
//! ```text
//!  seed ──► draw ──► story ─┬─► question      "Mia has 5 apples. She buys 3 more apples. ..."
//!                           └─► derivation ─┬─► plan        "Plan 1: Add the apples bought: A = 5 + 3"
//!                                           ├─► solution    "A = 5 + 3 = 8. ... \boxed{6}."
//!                                           └─► answer      "6"
//! ```
//!
//! A plan step holds one decision: which numbers, which operation. The solution only calculates. So a wrong answer
//! mostly comes from a wrong plan step, which is what search over plan steps finds and preference pairs correct.
//! Six families are in the domain that is trained on; two more, told with the same operations and mostly the same words
//! in other situations, measure transfer.
//!
//! Adding a family is one file with a `tell` function and one line in `FAMILIES`.

mod ages;
mod bus;
mod buying;
mod comparisons;
mod derivation;
mod draw;
mod generate;
mod groups;
mod mixtures;
mod rates;
#[cfg(test)]
mod reread;
mod savings;
mod story;
#[cfg(test)]
mod tests;
mod words;

pub use generate::{GenerateConfig, Split, generate, split_of};

use draw::Draw;
use story::Story;

/// Fewest steps of a story.
pub const MIN_STEPS: u32 = 2;
/// Most steps of a story.
pub const MAX_STEPS: u32 = 5;

/// A kind of story.
struct Family {
    name: &'static str,
    /// Trained on; else it measures transfer only.
    in_domain: bool,
    /// Tells a story of exactly this many steps, or `None` if the drawn numbers do not work out; then draw again.
    tell: fn(&mut Draw, u32) -> Option<Story>,
}

const FAMILIES: &[Family] = &[
    Family { name: "ages", in_domain: true, tell: ages::tell },
    Family { name: "buying", in_domain: true, tell: buying::tell },
    Family { name: "comparisons", in_domain: true, tell: comparisons::tell },
    Family { name: "groups", in_domain: true, tell: groups::tell },
    Family { name: "mixtures", in_domain: true, tell: mixtures::tell },
    Family { name: "rates", in_domain: true, tell: rates::tell },
    Family { name: "bus", in_domain: false, tell: bus::tell },
    Family { name: "savings", in_domain: false, tell: savings::tell },
];

/// Names of the families to train and test on.
pub fn in_domain() -> Vec<&'static str> {
    FAMILIES.iter().filter(|family| family.in_domain).map(|family| family.name).collect()
}

/// Names of the families that only measure transfer.
pub fn out_of_domain() -> Vec<&'static str> {
    FAMILIES.iter().filter(|family| !family.in_domain).map(|family| family.name).collect()
}
