//! One has more, fewer, or some times as many as another.

use super::derivation::{Op, Term};
use super::draw::Draw;
use super::story::Story;
use super::words::{PEOPLE, THINGS};

/// What is asked about the chain of people.
#[derive(Clone, Copy)]
enum Asked {
    Last,
    Difference,
    Two,
    Three,
}

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let (people, things) = (draw.distinct::<_, 6>(&PEOPLE), draw.pick(&THINGS));
    let (asked, after) = match draw.number(0..=5) {
        0 | 1 => (Asked::Last, 0),
        // With one relation only, the difference would be the number that the question gives.
        2 if steps > 2 => (Asked::Difference, 1),
        3 if steps > 3 => (Asked::Three, 2),
        _ => (Asked::Two, 1),
    };
    let start = draw.number(3..=15);
    story.say(format!("{} has {start} {things}.", people[0]));
    let mut owned = vec![Term::Given(start)];
    while story.room() > after {
        let (index, before) = (owned.len(), owned[owned.len() - 1]);
        let (who, other) = (people[index], people[index - 1]);
        let number = draw.number(2..=10);
        let (op, number, relation) = match draw.number(0..=4) {
            0 | 1 => (Op::Add, number, format!("{number} more {things} than")),
            2 | 3 => (Op::Subtract, number, format!("{number} fewer {things} than")),
            _ => {
                let times = draw.number(2..=4);
                (Op::Multiply, times, format!("{times} times as many {things} as"))
            }
        };
        story.say(format!("{who} has {relation} {other}."));
        owned.push(story.step("Find the next number", before, op, number)?);
    }
    let last = owned.len() - 1;
    let (end, before) = (people[last], people[last - 1]);
    match asked {
        Asked::Last => story.say(format!("How many {things} does {end} have?")),
        Asked::Difference => {
            let first = draw.number(0..=last as u32 - 2) as usize;
            let values = [first, last].map(|index| story.derivation.value(owned[index]));
            let (more, less) = if values[0] > values[1] { (first, last) } else { (last, first) };
            story.say(format!("How many more {things} does {} have than {}?", people[more], people[less]));
            story.step("Compare the two numbers", owned[more], Op::Subtract, owned[less])?;
        }
        Asked::Two => {
            story.say(format!("How many {things} do {before} and {end} have together?"));
            story.step("Add both numbers", owned[last - 1], Op::Add, owned[last])?;
        }
        Asked::Three => {
            let first = people[last - 2];
            story.say(format!("How many {things} do {first}, {before}, and {end} have together?"));
            let two = story.step("Add the first two numbers", owned[last - 2], Op::Add, owned[last - 1])?;
            story.step("Add the third number", two, Op::Add, owned[last])?;
        }
    }
    Some(story)
}
