//! Somebody has things, gets some, and uses some up: a running amount.

use super::derivation::{Op, Term};
use super::draw::Draw;
use super::story::Story;
use super::words::{HOLDERS, PEOPLE, THINGS};

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let [owner, friend] = draw.distinct(&PEOPLE);
    let (subject, things) = (owner.subject, draw.pick(&THINGS));
    let start = draw.number(3..=20);
    story.say(format!("{owner} has {start} {things}."));
    let mut held = Term::Given(start);
    while story.room() > 0 {
        let number = draw.number(2..=12);
        held = if story.room() > 1 && draw.chance(1, 3) {
            let (each, count, holders) = (draw.number(2..=8), draw.number(2..=6), draw.pick(&HOLDERS));
            story.say(format!("{subject} buys {count} {holders} with {each} {things} each."));
            let bought = story.step("Find how many come with each", count, Op::Multiply, each)?;
            story.step("Add them", held, Op::Add, bought)?
        } else if draw.chance(1, 2) {
            let (sentence, which) = match draw.number(0..=2) {
                0 => (format!("{subject} buys {number} more {things}."), "bought"),
                1 => (format!("{subject} finds {number} {things}."), "found"),
                _ => (format!("{friend} gives {} {number} {things}.", owner.object), "given"),
            };
            story.say(sentence);
            story.step(format!("Add what is {which}"), held, Op::Add, number)?
        } else {
            let (sentence, which) = match draw.number(0..=2) {
                0 => (format!("{subject} sells {number} {things}."), "sold"),
                1 => (format!("{subject} loses {number} {things}."), "lost"),
                _ => (format!("{subject} gives {number} {things} to {friend}."), "given"),
            };
            story.say(sentence);
            story.step(format!("Take away what is {which}"), held, Op::Subtract, number)?
        };
    }
    story.say(format!("How many {things} does {owner} have now?"));
    Some(story)
}
