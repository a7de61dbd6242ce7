//! Something is mixed from parts, several times over, and then changed.

use super::derivation::{Op, Term};
use super::draw::Draw;
use super::story::Story;
use super::words::PEOPLE;

/// What one portion is, several of them, and the parts it is mixed from.
const MIXTURES: [(&str, &str, [&str; 4]); 4] = [
    ("bowl of punch", "bowls", ["juice", "water", "tea", "milk"]),
    ("pot of soup", "pots", ["water", "beans", "rice", "milk"]),
    ("can of paint", "cans", ["red", "blue", "white", "green"]),
    ("bag of snacks", "bags", ["seeds", "beans", "nuts", "salt"]),
];

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let cook = draw.pick(&PEOPLE);
    let (portion, portions, parts) = draw.pick(&MIXTURES);
    let [one, two, three, four] = draw.distinct(&parts);
    let amounts: [u32; 3] = std::array::from_fn(|_| draw.number(2..=7));
    let each = if steps > 2 && draw.chance(1, 3) {
        story.say(format!(
            "One {portion} needs {} cups of {one}, {} cups of {two}, and {} cups of {three}.",
            amounts[0], amounts[1], amounts[2]
        ));
        let both = story.step("Add the first two parts", amounts[0], Op::Add, amounts[1])?;
        story.step("Add the third part", both, Op::Add, amounts[2])?
    } else {
        story.say(format!("One {portion} needs {} cups of {one} and {} cups of {two}.", amounts[0], amounts[1]));
        story.step("Add the first two parts", amounts[0], Op::Add, amounts[1])?
    };
    let count: Term = if story.room() > 1 && draw.chance(1, 4) {
        let (first, then) = (draw.number(2..=4), draw.number(2..=4));
        story.say(format!("{cook} makes {first} {portions} on Monday and {then} {portions} on Friday."));
        story.step("Find all portions", first, Op::Add, then)?
    } else {
        let count = draw.number(2..=8);
        story.say(format!("{cook} makes {count} {portions}."));
        count.into()
    };
    let mut cups = story.step("Find the cups in all portions", each, Op::Multiply, count)?;
    let shared = story.room() > 0 && draw.chance(1, 4);
    while story.room() > u32::from(shared) {
        let number = draw.number(2..=12);
        cups = if draw.chance(2, 5) {
            story.say(format!("{} adds {number} more cups of {four}.", cook.subject));
            story.step("Add the cups added", cups, Op::Add, number)?
        } else {
            story.say(format!("{} uses {number} cups.", cook.subject));
            story.step("Take away the cups used", cups, Op::Subtract, number)?
        };
    }
    if shared {
        let count = draw.number(2..=6);
        story.say(format!("{} shares it equally between {count} jars.", cook.subject));
        story.step("Find the cups in each jar", cups, Op::Divide, count)?;
        story.say("How many cups are in each jar?".to_owned());
    } else {
        story.say(format!("How many cups does {cook} have now?"));
    }
    Some(story)
}
