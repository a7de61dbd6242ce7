//! What holds for every generated problem, over thousands of them.

use super::reread::solve;
use super::*;
use crate::answer::boxed;
use crate::error::TaskError;
use crate::problem::Problem;
use crate::task::{Format, Granularity, StepText, Task};
use std::collections::{BTreeSet, HashMap, HashSet};

fn config(families: &[&str], count: usize) -> GenerateConfig {
    GenerateConfig {
        seed: 11,
        families: families.iter().map(|&name| name.to_owned()).collect(),
        split: Split::Train,
        count,
        min_steps: MIN_STEPS,
        max_steps: STORY_STEPS,
        mistakes: 0.0,
    }
}

fn all_families() -> Vec<&'static str> {
    [in_domain(), out_of_domain()].concat()
}

/// Some of every family and difficulty.
fn some_of_all() -> Vec<Problem> {
    generate(&config(&all_families(), 6400)).unwrap()
}

/// Recomputes the answer from the texts of plan and solution alone, and says what is wrong with them.
fn check_worked(problem: &Problem) -> Result<i64, String> {
    let worked = problem.solution.as_ref().ok_or("no worked solution")?;
    let mut results: HashMap<String, i64> = HashMap::new();
    let mut equations = worked.solution.split(". ");
    for (index, plan) in worked.plan.iter().enumerate() {
        let (heading, rest) = plan.split_once(": ").ok_or("no heading")?;
        let (purpose, expression) = rest.split_once(": ").ok_or("no purpose")?;
        if heading != format!("Plan {}", index + 1) || purpose.is_empty() {
            return Err(format!("bad heading in {plan}"));
        }
        let [letter, "=", left, op, right] = expression.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("bad expression in {plan}"));
        };
        let number = |term: &str| term.parse().ok().or_else(|| results.get(term).copied());
        let (left, right) = (number(left).ok_or("unknown term")?, number(right).ok_or("unknown term")?);
        let value = match op {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" if left % right == 0 => left / right,
            _ => return Err(format!("bad operation in {plan}")),
        };
        let equation = equations.next().ok_or("an equation is missing")?;
        if equation != format!("{letter} = {left} {op} {right} = {value}") {
            return Err(format!("{equation} does not carry out {plan}"));
        }
        if !(1..=50).contains(&value) || results.insert(letter.to_owned(), value).is_some() {
            return Err(format!("{letter} = {value} is out of range or there twice"));
        }
    }
    let last = equations.next().ok_or("no last sentence")?;
    let answer = boxed(last).and_then(|answer| answer.parse().ok()).ok_or("no boxed number")?;
    let final_letter = results.len().checked_sub(1).map(|last| char::from(b'A' + last as u8).to_string());
    if final_letter.and_then(|letter| results.get(&letter).copied()) != Some(answer) || equations.next().is_some() {
        return Err(format!("{answer} is not the last result"));
    }
    Ok(answer)
}

#[test]
fn the_worked_solution_gives_the_answer() {
    for problem in some_of_all() {
        let worked = problem.solution.as_ref().unwrap();
        assert_eq!(check_worked(&problem).map(|answer| answer.to_string()), Ok(problem.answer.clone()), "{problem:?}");
        assert_eq!(Some(worked.plan.len() as u32), problem.difficulty, "{problem:?}");
    }
}

#[test]
fn a_wrong_worked_solution_is_found_out() {
    let problem = some_of_all().swap_remove(5);
    let spoilt = |spoil: &dyn Fn(&mut crate::problem::Worked)| {
        let mut problem = problem.clone();
        spoil(problem.solution.as_mut().unwrap());
        check_worked(&problem)
    };
    assert!(spoilt(&|worked| worked.plan[0] = worked.plan[0].replace('*', "+")).is_err());
    assert!(spoilt(&|worked| worked.solution = worked.solution.replace(". B", "1. B")).is_err());
    assert!(spoilt(&|worked| worked.solution = worked.solution.replace("boxed{", "boxed{1")).is_err());
    assert!(spoilt(&|worked| worked.plan.truncate(1)).is_err());
}

#[test]
fn a_mistaken_solution_overlooks_one_step_and_calculates_right() {
    let mut all = config(&all_families(), 6400);
    let right = generate(&all).unwrap();
    all.mistakes = 0.5;
    let mut mistaken = 0;
    for (problem, right) in generate(&all).unwrap().iter().zip(&right) {
        assert_eq!((&problem.question, &problem.answer), (&right.question, &right.answer));
        if problem.solution == right.solution {
            continue;
        }
        mistaken += 1;
        let [plan, whole] = [problem, right].map(|problem| &problem.solution.as_ref().unwrap().plan);
        let (steps, overlooked) = (whole.len(), whole.len() - 2);
        assert_eq!((plan.len(), plan[..overlooked] == whole[..overlooked]), (steps - 1, true), "{problem:?}");
        let purpose = |plan: &str| plan.split(": ").nth(1).map(str::to_owned);
        assert_eq!(purpose(&plan[overlooked]), purpose(&whole[steps - 1]), "{problem:?}");
        let reached = check_worked(problem).unwrap();
        assert_ne!(reached.to_string(), problem.answer, "{problem:?}");
    }
    let longer = right.iter().filter(|problem| problem.difficulty >= Some(3)).count();
    assert!((longer / 4..longer / 2).contains(&mistaken), "{mistaken} of {longer}");
    all.mistakes = 1.5;
    assert!(matches!(generate(&all), Err(TaskError::Setting(bad)) if bad.key == "mistakes"));
}

#[test]
fn reading_the_question_again_gives_the_answer() {
    for problem in some_of_all() {
        let family = problem.family.as_deref().unwrap();
        assert_eq!(
            solve(family, &problem.question).map(|answer| answer.to_string()),
            Some(problem.answer.clone()),
            "{problem:?}"
        );
    }
}

#[test]
fn the_plan_uses_exactly_the_numbers_of_the_question() {
    let numbers = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).map(str::to_owned).collect()
    };
    for problem in some_of_all() {
        let expressions: Vec<&str> =
            problem.solution.as_ref().unwrap().plan.iter().filter_map(|plan| plan.rsplit(": ").next()).collect();
        assert_eq!(numbers(&problem.question), numbers(&expressions.join(" ")), "{problem:?}");
    }
}

#[test]
fn segments_read_back_as_what_they_are() {
    for problem in some_of_all() {
        for format in [Format::Xml, Format::Instruct] {
            for (granularity, kind) in [(Granularity::Plan, StepText::Plan), (Granularity::Step, StepText::Step)] {
                let task = Task::built_in(format, granularity);
                let mut segments = task.segments(problem.solution.as_ref().unwrap());
                assert_eq!(segments.len() as u32, problem.difficulty.unwrap() + 1);
                let path = segments.concat();
                let end = StepText::Solution { answer: problem.answer.clone() };
                assert_eq!(task.read_step(&segments.pop().unwrap()), end);
                assert!(segments.iter().all(|step| task.read_step(step) == kind), "{segments:?}");
                assert_eq!(task.read_path(&path), end);
            }
        }
    }
}

#[test]
fn questions_are_short_and_their_vocabulary_small() {
    let mut words = HashSet::new();
    for problem in some_of_all() {
        let question: Vec<&str> = problem.question.split_whitespace().collect();
        assert!((10..=62).contains(&question.len()), "{}", problem.question);
        words.extend(question.iter().map(|word| word.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase()));
    }
    assert!(words.len() < 220, "{} words: {words:?}", words.len());
}

#[test]
fn every_family_has_thousands_of_questions_at_every_difficulty() {
    for family in all_families() {
        let problems = generate(&config(&[family], 12_000)).unwrap();
        let distinct: HashSet<_> = problems.iter().map(|problem| &problem.question).collect();
        let ids: HashSet<_> = problems.iter().map(|problem| &problem.id).collect();
        assert_eq!((distinct.len(), ids.len()), (12_000, 12_000), "{family}");
    }
}

#[test]
fn the_same_seed_gives_the_same_and_a_larger_count_only_adds() {
    let some = generate(&config(&["buying", "rates"], 100)).unwrap();
    assert_eq!(generate(&config(&["buying", "rates"], 250)).unwrap()[..100], some);
    let other = generate(&GenerateConfig { seed: 12, ..config(&["buying", "rates"], 100) }).unwrap();
    assert!(other.iter().filter(|problem| some.contains(problem)).count() < 5);
    let alone = generate(&config(&["rates"], 50)).unwrap();
    let rates: Vec<_> = some.iter().filter(|problem| problem.family.as_deref() == Some("rates")).cloned().collect();
    assert_eq!(alone, rates, "a family's problems do not depend on the other families");
}

#[test]
fn the_split_is_by_question_and_about_four_to_one() {
    let train = generate(&config(&all_families(), 3200)).unwrap();
    let held_out = generate(&GenerateConfig { split: Split::HeldOut, ..config(&all_families(), 800) }).unwrap();
    assert!(train.iter().all(|problem| split_of(&problem.question) == Split::Train));
    assert!(held_out.iter().all(|problem| split_of(&problem.question) == Split::HeldOut));
    let held_out = (0..10_000).filter(|number| split_of(&format!("question {number}")) == Split::HeldOut).count();
    assert!((1800..2200).contains(&held_out), "{held_out}");
}

#[test]
fn difficulties_and_families_take_turns() {
    let problems = generate(&config(&["ages", "bus"], 80)).unwrap();
    for family in ["ages", "bus"] {
        for steps in MIN_STEPS..=STORY_STEPS {
            let of =
                |problem: &&Problem| problem.family.as_deref() == Some(family) && problem.difficulty == Some(steps);
            assert_eq!(problems.iter().filter(of).count(), 10);
        }
    }
}

#[test]
fn there_are_six_families_and_two_to_transfer_to() {
    assert_eq!(
        (in_domain().len(), out_of_domain(), apart()),
        (6, vec!["bus", "savings"], vec!["countdown", "routes", "town", "outskirts"])
    );
    assert_eq!(all_families().iter().collect::<HashSet<_>>().len(), 8);
}

#[test]
fn what_cannot_be_generated_is_an_error() {
    let error = |config: GenerateConfig| generate(&config).unwrap_err().to_string();
    let unknown = error(config(&["shopping"], 1));
    assert!(unknown.contains("`shopping`") && unknown.contains("buying"), "{unknown}");
    assert!(matches!(generate(&config(&[], 1)), Err(TaskError::UnknownFamily { .. })));
    for (min_steps, max_steps) in [(1, 3), (2, 6), (4, 3)] {
        let difficulty = error(GenerateConfig { min_steps, max_steps, ..config(&["bus"], 1) });
        assert!(difficulty.contains(&format!("{min_steps}..={max_steps}")), "{difficulty}");
    }
}
