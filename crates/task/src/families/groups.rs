//! Equal groups: things in holders or children in rooms, put together, taken away, and shared out.

use super::derivation::Op;
use super::draw::Draw;
use super::story::Story;
use super::words::{HOLDERS, THINGS};

/// What children come in.
const PLACES: [&str; 4] = ["rooms", "cars", "teams", "tents"];

/// Words for one kind of group.
struct Words {
    members: &'static str,
    holders: [&'static str; 2],
    /// What is said of members that are added, and of those that are taken away.
    comes: &'static str,
    goes: [&'static str; 2],
    share: (&'static str, &'static str),
}

fn words(draw: &mut Draw) -> Words {
    if draw.chance(1, 3) {
        Words {
            members: "children",
            holders: draw.distinct(&PLACES),
            comes: "come",
            goes: ["leave", "go home"],
            share: ("new groups", "group"),
        }
    } else {
        Words {
            members: draw.pick(&THINGS),
            holders: draw.distinct(&HOLDERS),
            comes: "are bought",
            goes: ["are sold", "are lost"],
            share: ("new piles", "pile"),
        }
    }
}

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let Words { members, holders: [first, second], comes, goes, share } = words(draw);
    let (count, each) = (draw.number(2..=6), draw.number(2..=9));
    story.say(format!("There are {count} {first} with {each} {members} each."));
    let mut all = story.step("Find all of the first kind", count, Op::Multiply, each)?;
    if story.room() > 1 && draw.chance(1, 2) {
        let (count, each) = (draw.number(2..=5), draw.number(2..=6));
        story.say(format!("There are {count} {second} with {each} {members} each."));
        let more = story.step("Find all of the second kind", count, Op::Multiply, each)?;
        all = story.step("Add both kinds", all, Op::Add, more)?;
    }
    let shared = story.room() > 0 && draw.chance(1, 3);
    while story.room() > u32::from(shared) {
        let number = draw.number(2..=12);
        all = if draw.chance(2, 5) {
            story.say(format!("Then {number} more {members} {comes}."));
            story.step("Add those that come", all, Op::Add, number)?
        } else {
            let verb = draw.pick(&goes);
            story.say(format!("Then {number} {members} {verb}."));
            story.step("Take away those that go", all, Op::Subtract, number)?
        };
    }
    if shared {
        let (new, one) = share;
        let count = draw.number(2..=6);
        story.say(format!("They are shared equally between {count} {new}."));
        story.step("Find how many each gets", all, Op::Divide, count)?;
        story.say(format!("How many {members} are in each {one}?"));
    } else {
        story.say(format!("How many {members} are there now?"));
    }
    Some(story)
}
