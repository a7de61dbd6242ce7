//! Countdown: numbers are combined, two at a time, until the target is left. Whatever makes the target is right, see
//! [`Puzzle`]; the answer of a problem is one way.

use super::draw::Draw;
use super::told::Told;
use crate::answer::{AnswerKind, Puzzle};
use crate::problem::Worked;

/// No number on the way, nor the target, is larger.
const LARGEST: u32 = 100;

/// A number on the table, with how it was made.
#[derive(Clone, Debug)]
struct Held {
    value: u32,
    text: String,
    /// 0 for a sum or difference, 1 for a product or quotient, 2 for a number that was given.
    binds: u8,
}

/// Tells a puzzle of `steps` steps, and so of one number more.
pub(super) fn tell(draw: &mut Draw, steps: u32) -> Option<Told> {
    let numbers: Vec<u32> = (0..=steps).map(|_| draw.number(1..=25)).collect();
    let mut held: Vec<Held> = numbers.iter().map(|&value| Held { value, text: value.to_string(), binds: 2 }).collect();
    let mut lines = Vec::new();
    while held.len() > 1 {
        let one = held.swap_remove(draw.number(0..=held.len() as u32 - 1) as usize);
        let other = held.swap_remove(draw.number(0..=held.len() as u32 - 1) as usize);
        let (made, line) = combine(draw, &one, &other)?;
        held.push(made);
        let left: Vec<String> = held.iter().rev().map(|number| number.value.to_string()).collect();
        lines.push(format!("{line}, left: {}", left.join(" ")));
    }
    let Held { value: target, text: answer, .. } = held.pop()?;
    // One that is there already is no puzzle.
    if numbers.contains(&target) || target < 10 {
        return None;
    }
    let plan = lines.iter().enumerate().map(|(index, line)| format!("Plan {}: {line}", index + 1)).collect();
    let solution = format!("{}. The final answer is \\boxed{{{answer}}}.", lines.join(". "));
    Some(Told {
        question: Puzzle { numbers, target }.question(),
        answer,
        kind: AnswerKind::Countdown,
        worked: Worked { plan, solution },
        mistaken: None,
    })
}

/// What two numbers make by an operation that is drawn, and the line that says so. `None` if they make nothing new, nothing
/// whole, or too much.
fn combine(draw: &mut Draw, one: &Held, other: &Held) -> Option<(Held, String)> {
    let (high, low) = if one.value >= other.value { (one, other) } else { (other, one) };
    let (sign, value, binds) = match draw.number(0..=3) {
        0 => ('+', high.value + low.value, 0),
        1 => ('-', high.value - low.value, 0),
        2 => ('*', high.value * low.value, 1),
        _ => ('/', if high.value.is_multiple_of(low.value) { high.value / low.value } else { 0 }, 1),
    };
    let is_new = value != high.value && value != low.value;
    if !is_new || !(1..=LARGEST).contains(&value) {
        return None;
    }
    let bracketed = |held: &Held, least: u8| {
        if held.binds < least { format!("({})", held.text) } else { held.text.clone() }
    };
    // What stands behind a minus or a slash is bracketed if it is calculated in the same rank, and so is all that stands before
    // a slash: `a / b / c` is read in two ways.
    let left = bracketed(high, if sign == '/' { 2 } else { binds });
    let right = bracketed(low, if matches!(sign, '-' | '/') { binds + 1 } else { binds });
    let made = Held { value, text: format!("{left} {sign} {right}"), binds };
    Some((made, format!("{} {sign} {} = {value}", high.value, low.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Truth, equations};
    use crate::families::{GenerateConfig, Split, generate};
    use crate::problem::Problem;
    use crate::task::{Format, Granularity, StepText, Task};

    fn some() -> Vec<Problem> {
        let config = GenerateConfig {
            seed: 5,
            families: vec!["countdown".to_owned()],
            split: Split::Train,
            count: 2000,
            min_steps: 2,
            max_steps: 5,
            mistakes: 0.0,
        };
        generate(&config).unwrap()
    }

    /// The value of a calculation in floating point and the numbers in it: a reading of its own, character by character.
    fn value(text: &str) -> (f64, Vec<u32>) {
        fn sum(rest: &mut &str, used: &mut Vec<u32>) -> f64 {
            let mut total = product(rest, used);
            loop {
                if let Some(after) = rest.strip_prefix('+') {
                    *rest = after;
                    total += product(rest, used);
                } else if let Some(after) = rest.strip_prefix('-') {
                    *rest = after;
                    total -= product(rest, used);
                } else {
                    return total;
                }
            }
        }
        fn product(rest: &mut &str, used: &mut Vec<u32>) -> f64 {
            let mut total = atom(rest, used);
            loop {
                if let Some(after) = rest.strip_prefix('*') {
                    *rest = after;
                    total *= atom(rest, used);
                } else if let Some(after) = rest.strip_prefix('/') {
                    *rest = after;
                    total /= atom(rest, used);
                } else {
                    return total;
                }
            }
        }
        fn atom(rest: &mut &str, used: &mut Vec<u32>) -> f64 {
            if let Some(after) = rest.strip_prefix('(') {
                *rest = after;
                let inner = sum(rest, used);
                *rest = rest.strip_prefix(')').unwrap();
                return inner;
            }
            let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            *rest = after;
            used.push(digits.parse().unwrap());
            f64::from(*used.last().unwrap())
        }
        let plain = text.replace(' ', "");
        let (mut rest, mut used) = (&plain[..], Vec::new());
        let total = sum(&mut rest, &mut used);
        assert_eq!(rest, "", "{text}");
        (total, used)
    }

    #[test]
    fn every_answer_makes_its_target_from_all_numbers() {
        for problem in some() {
            let puzzle = Puzzle::read(&problem.question).unwrap();
            let (made, mut used) = value(&problem.answer);
            assert!((made - f64::from(puzzle.target)).abs() < 1e-9, "{problem:?}");
            let mut numbers = puzzle.numbers.clone();
            numbers.sort_unstable();
            used.sort_unstable();
            assert_eq!(used, numbers, "{problem:?}");
            assert_eq!(problem.is_right(&problem.answer), Some(true), "{problem:?}");
            assert_eq!(problem.is_right(&puzzle.target.to_string()), Some(false), "the target alone is no calculation");
            assert_eq!(problem.difficulty, Some(numbers.len() as u32 - 1));
        }
    }

    #[test]
    fn steps_combine_two_numbers_that_are_left() {
        for problem in some() {
            let puzzle = Puzzle::read(&problem.question).unwrap();
            let worked = problem.solution.as_ref().unwrap();
            let mut table = puzzle.numbers.clone();
            for (index, plan) in worked.plan.iter().enumerate() {
                let (step, left) =
                    plan.strip_prefix(&format!("Plan {}: ", index + 1)).unwrap().split_once(", left: ").unwrap();
                let (calculation, result) = step.split_once(" = ").unwrap();
                let (made, used) = value(calculation);
                assert_eq!(made.to_string(), result, "{plan}");
                for number in used {
                    table.swap_remove(table.iter().position(|&one| one == number).unwrap());
                }
                table.push(result.parse().unwrap());
                let mut left: Vec<u32> = left.split(' ').map(|number| number.parse().unwrap()).collect();
                assert_eq!(left[0].to_string(), result, "{plan}");
                left.sort_unstable();
                table.sort_unstable();
                assert_eq!(left, table, "{plan}");
            }
            assert_eq!(table, [puzzle.target]);
            let found = equations(&worked.solution);
            assert_eq!(found.len(), worked.plan.len(), "{}", worked.solution);
            assert!(found.iter().all(|equation| equation.truth == Truth::Holds), "{}", worked.solution);
        }
    }

    #[test]
    fn segments_are_steps_and_an_answer() {
        for problem in some().iter().take(200) {
            for (granularity, kind) in [(Granularity::Plan, StepText::Plan), (Granularity::Step, StepText::Step)] {
                let task = Task::built_in(Format::Xml, granularity);
                let mut segments = task.segments(problem.solution.as_ref().unwrap());
                let end = StepText::Solution { answer: problem.answer.clone() };
                assert_eq!(task.read_step(&segments.pop().unwrap()), end);
                assert_eq!(segments.len() as u32, problem.difficulty.unwrap());
                assert!(segments.iter().all(|step| task.read_step(step) == kind), "{segments:?}");
            }
        }
    }
}
