//! Out of domain: a bus or a train on its way, people getting on and off at the stops.

use super::derivation::{Op, Term};
use super::draw::Draw;
use super::story::Story;
use super::words::PEOPLE;

const STOPS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let (driver, vehicle) = (draw.pick(&PEOPLE), draw.pick(&["bus", "train"]));
    let riders = draw.pick(&["children", "people"]);
    let start = draw.number(3..=20);
    story.say(format!("{driver} drives a {vehicle} with {start} {riders}."));
    let mut aboard = Term::Given(start);
    let paid = draw.chance(1, 4);
    for stop in STOPS {
        if story.room() <= u32::from(paid) {
            break;
        }
        let (on, off) = (draw.number(2..=12), draw.number(2..=12));
        let both = story.room() > 1 + u32::from(paid) && draw.chance(2, 3);
        let board = both || draw.chance(1, 2);
        story.say(match (board, both) {
            (true, true) => format!("At the {stop} stop {on} more {riders} come and {off} {riders} leave."),
            (true, false) => format!("At the {stop} stop {on} more {riders} come."),
            (false, _) => format!("At the {stop} stop {off} {riders} leave."),
        });
        if board {
            aboard = story.step(format!("Add the {riders} who come"), aboard, Op::Add, on)?;
        }
        if both || !board {
            aboard = story.step(format!("Take away the {riders} who leave"), aboard, Op::Subtract, off)?;
        }
    }
    if paid {
        let fare = draw.number(2..=4);
        story.say(format!("Then the {riders} pay {fare} dollars each."));
        story.step("Find all the dollars", aboard, Op::Multiply, fare)?;
        story.say(format!("How many dollars does {driver} get?"));
    } else {
        story.say(format!("How many {riders} are in the {vehicle} now?"));
    }
    Some(story)
}
