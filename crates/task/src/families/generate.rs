//! Distinct problems of chosen families, deterministic by seed and split by question.

use super::draw::Draw;
use super::told::Told;
use super::{FAMILIES, Family, MAX_STEPS, MIN_STEPS};
use crate::error::TaskError;
use crate::problem::Problem;
use espalier_settings::choices;
use espalier_settings::range::between;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Draws without a new question after which a family counts as exhausted at a difficulty.
const MAX_FRUITLESS_DRAWS: u32 = 20_000;

choices! {
    /// Which side of the fixed split a question lies on.
    pub enum Split {
        /// About four questions in five: searched and trained on.
        Train = "train",
        /// The rest: only ever evaluated on.
        HeldOut = "held_out",
    }
}

/// The side that a question lies on. It depends on nothing but the question's text (its SHA-256), so that no seed, no
/// family mix, and no later version of a generator can move a held-out question into training.
pub fn split_of(question: &str) -> Split {
    let digest: [u8; 32] = Sha256::digest(question.as_bytes()).into();
    let head = u64::from_le_bytes(std::array::from_fn(|index| digest[index]));
    if head.is_multiple_of(5) { Split::HeldOut } else { Split::Train }
}

/// What to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateConfig {
    /// The same seed gives the same problems.
    pub seed: u64,
    /// Family names, see [`in_domain`](super::in_domain) and [`out_of_domain`](super::out_of_domain).
    pub families: Vec<String>,
    /// Only questions on this side of the split.
    pub split: Split,
    /// Number of problems, spread evenly over families and difficulties.
    pub count: usize,
    /// Fewest steps of a solution.
    pub min_steps: u32,
    /// Most steps of a solution.
    pub max_steps: u32,
    /// Share of the problems of three steps and more whose worked solution overlooks the step before the last and, wherever
    /// that can be told, comes to a wrong answer: mistakes like those of the texts that language models learn from. The
    /// problem's own answer stays the right one.
    #[serde(default)]
    pub mistakes: f64,
}

/// Generates `count` problems with distinct questions. Families take turns and so do difficulties, so any beginning of
/// the list is balanced, and a larger `count` only adds to its end.
///
/// # Errors
/// [`TaskError::UnknownFamily`] (also for an empty list), [`TaskError::Difficulty`], [`TaskError::Setting`], and
/// [`TaskError::Exhausted`] when a family has too few distinct questions.
pub fn generate(config: &GenerateConfig) -> Result<Vec<Problem>, TaskError> {
    let &GenerateConfig { seed, split, count, min_steps: min, max_steps: max, mistakes, .. } = config;
    between(0, 1).check("mistakes", &mistakes)?;
    let families = config.families.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    if families.is_empty() {
        return Err(unknown(""));
    }
    let highest = families.iter().map(|family| family.most).min().unwrap_or(MAX_STEPS);
    if min > max || min < MIN_STEPS || max > highest {
        return Err(TaskError::Difficulty { min, max, lowest: MIN_STEPS, highest });
    }
    let mut sources: Vec<Source> =
        (min..=max).flat_map(|steps| families.iter().map(move |family| Source::new(seed, family, steps))).collect();
    let turns = sources.len();
    let mut asked = HashSet::new();
    (0..count).map(|index| sources[index % turns].next(split, mistakes, &mut asked)).collect()
}

fn find(name: &str) -> Result<&'static Family, TaskError> {
    FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> TaskError {
    let known: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
    TaskError::UnknownFamily { name: name.to_owned(), known: known.join(", ") }
}

/// One family at one difficulty, with its own generator.
struct Source {
    family: &'static Family,
    steps: u32,
    draw: Draw,
    found: usize,
}

impl Source {
    fn new(seed: u64, family: &'static Family, steps: u32) -> Self {
        Self { family, steps, draw: Draw::new(seed, family.name, steps), found: 0 }
    }

    fn next(&mut self, split: Split, mistakes: f64, asked: &mut HashSet<String>) -> Result<Problem, TaskError> {
        for _ in 0..MAX_FRUITLESS_DRAWS {
            let Some(Told { question, answer, kind, worked, mistaken }) =
                (self.family.tell)(&mut self.draw, self.steps)
            else {
                continue;
            };
            if split_of(&question) != split || !asked.insert(question.clone()) {
                continue;
            }
            self.found += 1;
            let digest: [u8; 32] = Sha256::digest(question.as_bytes()).into();
            let mark = u64::from_be_bytes(std::array::from_fn(|index| digest[index])) >> 16;
            // Of other bytes than the split and the id, so that it depends on neither.
            let luck = f64::from(u32::from_be_bytes(std::array::from_fn(|index| digest[16 + index])));
            let mistaken = mistaken.filter(|_| luck < mistakes * 2_f64.powi(32));
            return Ok(Problem {
                id: format!("{}-{}-{mark:012x}", self.family.name, self.steps),
                question,
                answer,
                kind,
                family: Some(self.family.name.to_owned()),
                difficulty: Some(self.steps),
                solution: Some(mistaken.unwrap_or(worked)),
                ..Problem::default()
            });
        }
        Err(TaskError::Exhausted { family: self.family.name.to_owned(), steps: self.steps, found: self.found })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Domain;
    use super::super::derivation::Op;
    use super::super::story::Story;
    use super::*;

    #[test]
    fn a_family_that_runs_out_says_so() {
        let family: &'static Family = &Family {
            name: "coin",
            domain: Domain::In,
            most: MAX_STEPS,
            tell: |draw, steps| {
                let mut story = Story::new(steps);
                story.say(format!("{} coins?", draw.number(1..=6)));
                story.step("Add", 1, Op::Add, 1)?;
                story.told()
            },
        };
        let (mut source, mut asked) = (Source::new(1, family, 2), HashSet::new());
        let found = std::iter::from_fn(|| source.next(Split::Train, 0.0, &mut asked).ok()).count();
        let expected = (1..=6).filter(|number| split_of(&format!("{number} coins?")) == Split::Train).count();
        assert_eq!(found, expected);
        let error = source.next(Split::Train, 0.0, &mut asked).unwrap_err().to_string();
        assert!(
            error.contains("`coin` with 2 steps") && error.contains(&format!("than {expected} distinct")),
            "{error}"
        );
    }

    #[test]
    fn splits_have_names() {
        for split in [Split::Train, Split::HeldOut] {
            assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
        }
        assert!("test".parse::<Split>().unwrap_err().to_string().contains("train, held_out"));
    }
}
