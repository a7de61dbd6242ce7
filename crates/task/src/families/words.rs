//! The people and things that stories are about. The vocabulary is small on purpose: what should be hard is the plan.

use std::fmt;

/// Somebody in a story; displays as the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Person {
    name: &'static str,
    /// `She` or `He`.
    pub(super) subject: &'static str,
    /// `her` or `him`.
    pub(super) object: &'static str,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn she(name: &'static str) -> Person {
    Person { name, subject: "She", object: "her" }
}

const fn he(name: &'static str) -> Person {
    Person { name, subject: "He", object: "him" }
}

/// People.
pub(super) const PEOPLE: [Person; 12] = [
    she("Mia"),
    she("Ann"),
    she("Eva"),
    she("Zoe"),
    she("Lily"),
    she("Nina"),
    he("Sam"),
    he("Ben"),
    he("Leo"),
    he("Tom"),
    he("Max"),
    he("Jack"),
];

/// Countable things one can have, buy, lose, and give away.
pub(super) const THINGS: [&str; 12] =
    ["apples", "books", "cards", "pens", "eggs", "shells", "balls", "coins", "cookies", "stamps", "stones", "roses"];

/// What things come in.
pub(super) const HOLDERS: [&str; 4] = ["bags", "boxes", "baskets", "packs"];
