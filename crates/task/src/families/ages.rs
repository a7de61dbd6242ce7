//! How old people are, were, and will be.

use super::derivation::{Op, Term};
use super::draw::Draw;
use super::story::Story;
use super::words::PEOPLE;

/// What is asked about the last of the people.
#[derive(Clone, Copy)]
enum Asked {
    Now,
    Later,
    Earlier,
    Sum,
}

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let people = draw.distinct::<_, 6>(&PEOPLE);
    let (asked, after) = match draw.number(0..=4) {
        0 => (Asked::Now, 0),
        1 | 2 => (Asked::Later, 1),
        3 => (Asked::Earlier, 1),
        _ => (Asked::Sum, 1),
    };
    let (first, start, years) = (people[0], draw.number(4..=20), draw.number(2..=10));
    let first_age = "Find the age now";
    let mut ages: Vec<Term> = match draw.number(0..=4) {
        0 if steps > 2 => {
            story.say(format!("In {years} years {first} will be {start} years old."));
            vec![story.step(first_age, start, Op::Subtract, years)?]
        }
        1 if steps > 2 => {
            story.say(format!("{years} years ago {first} was {start} years old."));
            vec![story.step(first_age, start, Op::Add, years)?]
        }
        _ => {
            story.say(format!("{first} is {start} years old."));
            vec![Term::Given(start)]
        }
    };
    while story.room() > after {
        let (index, before) = (ages.len(), ages[ages.len() - 1]);
        let (who, other) = (people[index], people[index - 1]);
        let years = draw.number(2..=10);
        let (op, number, relation) = match draw.number(0..=4) {
            0 | 1 => (Op::Add, years, format!("{years} years older than")),
            2 | 3 => (Op::Subtract, years, format!("{years} years younger than")),
            _ => {
                let times = draw.number(2..=4);
                (Op::Multiply, times, format!("{times} times as old as"))
            }
        };
        story.say(format!("{who} is {relation} {other}."));
        ages.push(story.step("Find the next age", before, op, number)?);
    }
    let last = ages.len() - 1;
    let (end, years) = (people[last], draw.number(2..=10));
    match asked {
        Asked::Now => story.say(format!("How old is {end}?")),
        Asked::Later => {
            story.say(format!("How old will {end} be in {years} years?"));
            story.step("Find the later age", ages[last], Op::Add, years)?;
        }
        Asked::Earlier => {
            story.say(format!("How old was {end} {years} years ago?"));
            story.step("Find the earlier age", ages[last], Op::Subtract, years)?;
        }
        Asked::Sum => {
            let before = people[last.checked_sub(1)?];
            story.say(format!("How old are {before} and {end} together?"));
            story.step("Add both ages", ages[last - 1], Op::Add, ages[last])?;
        }
    }
    Some(story)
}
