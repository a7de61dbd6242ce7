//! Out of domain: somebody saves money towards something; amounts, rates, and prices in one story.

use super::derivation::{Op, Term};
use super::draw::Draw;
use super::story::Story;
use super::words::{PEOPLE, THINGS};

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let [saver, friend] = draw.distinct(&PEOPLE);
    let subject = saver.subject;
    let start = draw.number(3..=20);
    story.say(format!("{saver} has {start} dollars in a bank."));
    let mut balance = Term::Given(start);
    let goal = draw.chance(1, 3);
    while story.room() > u32::from(goal) {
        let number = draw.number(2..=12);
        let two = story.room() > 1 + u32::from(goal);
        balance = match draw.number(0..=3) {
            0 if two => {
                let (rate, weeks) = (draw.number(2..=6), draw.number(2..=6));
                story.say(format!("{subject} saves {rate} dollars each week for {weeks} weeks."));
                let more = story.step("Find the dollars saved", rate, Op::Multiply, weeks)?;
                story.step("Add the dollars saved", balance, Op::Add, more)?
            }
            1 if two => {
                let (count, price, things) = (draw.number(2..=5), draw.number(2..=6), draw.pick(&THINGS));
                story.say(format!("{subject} buys {count} {things} for {price} dollars each."));
                let cost = story.step(format!("Find the dollars for the {things}"), count, Op::Multiply, price)?;
                story.step("Take away the dollars spent", balance, Op::Subtract, cost)?
            }
            0 | 2 => {
                story.say(format!("{friend} gives {} {number} dollars.", saver.object));
                story.step(format!("Add the dollars from {friend}"), balance, Op::Add, number)?
            }
            _ => {
                story.say(format!("{subject} spends {number} dollars."));
                story.step("Take away the dollars spent", balance, Op::Subtract, number)?
            }
        };
    }
    if goal {
        let price = draw.number(10..=50);
        story.say(format!("{subject} wants a ball for {price} dollars."));
        story.step("Compare the price with the dollars", price, Op::Subtract, balance)?;
        story.say(format!("How many more dollars does {saver} need?"));
    } else {
        story.say(format!("How many dollars does {saver} have now?"));
    }
    Some(story)
}
