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
//! in other situations, measure transfer. Others stand apart from both: puzzles of `countdown`, of `routes`, and of one `town`
//! and its `outskirts`, of which each has several right answers, found by search and not by reading.
//!
//! Adding a family is one file with a `tell` function and one line in `FAMILIES`.

mod ages;
mod bus;
mod buying;
mod comparisons;
mod countdown;
mod derivation;
mod draw;
mod generate;
mod groups;
mod mixtures;
mod rates;
#[cfg(test)]
mod reread;
mod routes;
mod savings;
mod story;
#[cfg(test)]
mod tests;
mod told;
mod words;

pub use generate::{GenerateConfig, Split, generate, split_of};

use draw::Draw;
use told::Told;

/// Fewest steps of a story.
pub const MIN_STEPS: u32 = 2;
/// Most steps of a story.
const STORY_STEPS: u32 = 5;
/// Most steps of any family.
pub const MAX_STEPS: u32 = 10;

/// A kind of problem.
struct Family {
    name: &'static str,
    domain: Domain,
    /// Most steps that it is told with.
    most: u32,
    /// Tells a problem of exactly this many steps, or `None` if the drawn numbers do not work out; then draw again.
    tell: fn(&mut Draw, u32) -> Option<Told>,
}

/// What a family is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    /// Trained on.
    In,
    /// Measures transfer only.
    Out,
    /// Neither, unless it is asked for by its name.
    Apart,
}

const FAMILIES: &[Family] = &[
    Family { name: "ages", domain: Domain::In, most: STORY_STEPS, tell: |draw, steps| ages::tell(draw, steps)?.told() },
    Family {
        name: "buying",
        domain: Domain::In,
        most: STORY_STEPS,
        tell: |draw, steps| buying::tell(draw, steps)?.told(),
    },
    Family {
        name: "comparisons",
        domain: Domain::In,
        most: STORY_STEPS,
        tell: |draw, steps| comparisons::tell(draw, steps)?.told(),
    },
    Family {
        name: "groups",
        domain: Domain::In,
        most: STORY_STEPS,
        tell: |draw, steps| groups::tell(draw, steps)?.told(),
    },
    Family {
        name: "mixtures",
        domain: Domain::In,
        most: STORY_STEPS,
        tell: |draw, steps| mixtures::tell(draw, steps)?.told(),
    },
    Family {
        name: "rates",
        domain: Domain::In,
        most: STORY_STEPS,
        tell: |draw, steps| rates::tell(draw, steps)?.told(),
    },
    Family { name: "bus", domain: Domain::Out, most: STORY_STEPS, tell: |draw, steps| bus::tell(draw, steps)?.told() },
    Family {
        name: "savings",
        domain: Domain::Out,
        most: STORY_STEPS,
        tell: |draw, steps| savings::tell(draw, steps)?.told(),
    },
    Family { name: "countdown", domain: Domain::Apart, most: STORY_STEPS, tell: countdown::tell },
    Family { name: "routes", domain: Domain::Apart, most: MAX_STEPS, tell: routes::tell },
    Family { name: "town", domain: Domain::Apart, most: MAX_STEPS, tell: routes::tell_town },
    Family { name: "outskirts", domain: Domain::Apart, most: MAX_STEPS, tell: routes::tell_outskirts },
];

fn of(domain: Domain) -> Vec<&'static str> {
    FAMILIES.iter().filter(|family| family.domain == domain).map(|family| family.name).collect()
}

/// Names of the families to train and test on.
pub fn in_domain() -> Vec<&'static str> {
    of(Domain::In)
}

/// Names of the families that only measure transfer.
pub fn out_of_domain() -> Vec<&'static str> {
    of(Domain::Out)
}

/// Names of the families that are for neither, and are generated where they are asked for.
pub fn apart() -> Vec<&'static str> {
    of(Domain::Apart)
}
