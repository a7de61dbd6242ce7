//! Somebody makes a number of things in each hour, day, or week.

use super::derivation::Op;
use super::draw::Draw;
use super::story::Story;
use super::words::PEOPLE;

/// What is done, and what comes of it.
const WORK: [(&str, &str); 6] = [
    ("picks", "apples"),
    ("bakes", "cookies"),
    ("makes", "cards"),
    ("paints", "stones"),
    ("packs", "boxes"),
    ("earns", "dollars"),
];

/// A unit of time, its plural, and two spans that hold several.
const TIMES: [(&str, &str, &str, &str); 3] = [
    ("hour", "hours", "on Monday", "on Friday"),
    ("day", "days", "in May", "in June"),
    ("week", "weeks", "in May", "in June"),
];

/// Tells one story of `steps` steps.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Story> {
    let mut story = Story::new(steps);
    let [worker, second] = draw.distinct(&PEOPLE);
    let (verb, things) = draw.pick(&WORK);
    let (unit, units, once, again) = draw.pick(&TIMES);
    let (subject, rate) = (worker.subject, draw.number(2..=9));
    let mut made = if draw.chance(1, 2) {
        let (first, then) = (draw.number(2..=6), draw.number(2..=6));
        story.say(format!("{worker} {verb} {rate} {things} each {unit}."));
        story.say(format!("{subject} works {first} {units} {once} and {then} {units} {again}."));
        let total = story.step("Find all the time", first, Op::Add, then)?;
        story.step("Find what the first makes", rate, Op::Multiply, total)?
    } else {
        let time = draw.number(2..=8);
        story.say(format!("{worker} {verb} {rate} {things} each {unit} for {time} {units}."));
        story.step("Find what the first makes", rate, Op::Multiply, time)?
    };
    let mut workers = 1;
    while story.room() > 0 {
        let number = draw.number(2..=12);
        made = if story.room() > 1 && workers == 1 && draw.chance(1, 2) {
            let (rate, time) = (draw.number(2..=6), draw.number(2..=6));
            workers += 1;
            story.say(format!("{second} {verb} {rate} {things} each {unit} for {time} {units}."));
            let more = story.step("Find what the second makes", rate, Op::Multiply, time)?;
            story.step("Add what both make", made, Op::Add, more)?
        } else {
            let subject = if workers == 1 { subject } else { "They" };
            let s = if workers == 1 { "s" } else { "" };
            let verb = if things == "dollars" { "spend" } else { "sell" };
            if draw.chance(1, 3) {
                story.say(format!("{subject} get{s} {number} more {things} from a friend."));
                story.step("Add what the friend gives", made, Op::Add, number)?
            } else {
                story.say(format!("{subject} {verb}{s} {number} {things}."));
                story.step("Take away what is gone", made, Op::Subtract, number)?
            }
        };
    }
    let who = if workers == 1 { format!("does {worker}") } else { "do they".to_owned() };
    story.say(format!("How many {things} {who} have in the end?"));
    Some(story)
}
