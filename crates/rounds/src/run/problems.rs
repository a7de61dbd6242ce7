//! The problem sets of a run: made or copied once by `init`, stored in the run's folder as JSONL.

use crate::config::RunConfig;
use anyhow::{Context, Result};
use espalier_task::families::{self, GenerateConfig, Split, generate};
use espalier_task::{Problem, boxed, load_problems, write_jsonl};
use std::collections::HashSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// The sets of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProblemSets {
    /// Worked problems of the warm start.
    pub warm_start: Vec<Problem>,
    /// Problems to search, in the order of the rounds.
    pub search: Vec<Problem>,
    /// Held-out problems like the trained ones.
    pub held_out: Vec<Problem>,
    /// Held-out problems of other families.
    pub out_of_domain: Vec<Problem>,
    /// Held-out problems that only the gate between rounds looks at.
    pub validation: Vec<Problem>,
}

impl ProblemSets {
    /// Generates the sets of the embedded run. Warm start and search share the training split, but no problem.
    pub fn generated(config: &RunConfig) -> Result<ProblemSets> {
        let sizes = &config.problems;
        let worked_by = |mistakes, families: &[String], split, count, steps: RangeInclusive<u32>, purpose: u64| {
            generate(&GenerateConfig {
                seed: config.seed.wrapping_mul(4).wrapping_add(purpose),
                families: families.to_vec(),
                split,
                count,
                min_steps: *steps.start(),
                max_steps: *steps.end(),
                mistakes,
            })
        };
        let make = |families: &[String], split, count: usize, steps, purpose| {
            worked_by(0.0, families, split, count, steps, purpose)
        };
        let named = |names: Vec<&str>| -> Vec<String> { names.into_iter().map(str::to_owned).collect() };
        let in_domain = if sizes.families.is_empty() { named(families::in_domain()) } else { sizes.families.clone() };
        let out_of_domain = match &sizes.out_of_domain_families[..] {
            [] => named(families::out_of_domain()),
            given => given.to_vec(),
        };
        let all_steps = || sizes.min_steps..=sizes.max_steps;
        let other_steps = match sizes.out_of_domain_steps[..] {
            [min, max] => min..=max,
            _ => all_steps(),
        };
        let mut warm_start = Vec::new();
        for (steps, &count) in all_steps().zip(&sizes.warm_start) {
            warm_start.extend(worked_by(sizes.mistakes, &in_domain, Split::Train, count, steps..=steps, 0)?);
        }
        let worked: HashSet<&str> = warm_start.iter().map(|problem| problem.question.as_str()).collect();
        let searched = sizes.per_round * config.rounds as usize;
        // As many more as could be lost.
        let mut search = make(&in_domain, Split::Train, searched + worked.len(), all_steps(), 3)?;
        search.retain(|problem| !worked.contains(problem.question.as_str()));
        search.truncate(searched);
        let mut held_out = make(&in_domain, Split::HeldOut, sizes.held_out + sizes.validation, all_steps(), 1)?;
        let validation = held_out.split_off(sizes.held_out);
        Ok(ProblemSets {
            search: search.into_iter().map(without_solution).collect(),
            warm_start,
            held_out,
            validation,
            out_of_domain: make(&out_of_domain, Split::HeldOut, sizes.out_of_domain, other_steps, 2)?,
        })
    }

    /// Writes the sets into `<run>/problems`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for (name, problems) in self.named() {
            if !problems.is_empty() {
                let path = folder.join(format!("{name}.jsonl"));
                write_jsonl(&path, problems).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Reads the sets from `<run>/problems`; a set without a file is empty.
    pub fn read(folder: &Path) -> Result<ProblemSets> {
        let load = |name: &str| {
            let path = folder.join(format!("{name}.jsonl"));
            if path.exists() { Ok(load_problems(&path, None)?) } else { Ok::<_, anyhow::Error>(Vec::new()) }
        };
        Ok(ProblemSets {
            warm_start: load("warm_start")?,
            search: load("search")?,
            held_out: load("held_out")?,
            out_of_domain: load("out_of_domain")?,
            validation: load("validation")?,
        })
    }

    /// The worked problems but for those whose solution boxes a wrong answer: what a round may train on again.
    #[must_use]
    pub fn rehearsed(&self) -> Vec<Problem> {
        let is_right = |problem: &&Problem| {
            let boxed = problem.solution.as_ref().and_then(|worked| boxed(&worked.solution));
            boxed.is_none_or(|answer| problem.is_right(&answer) != Some(false))
        };
        self.warm_start.iter().filter(is_right).cloned().collect()
    }

    fn named(&self) -> [(&'static str, &[Problem]); 5] {
        [
            ("warm_start", &self.warm_start),
            ("search", &self.search),
            ("held_out", &self.held_out),
            ("out_of_domain", &self.out_of_domain),
            ("validation", &self.validation),
        ]
    }

    /// The problems of one CPL round, 1-based. A set too small for all rounds is begun again.
    pub fn of_round(&self, round: u32, per_round: usize) -> Vec<Problem> {
        let first = per_round * (round as usize - 1);
        let taken = per_round.min(self.search.len());
        self.search.iter().cycle().skip(first % self.search.len().max(1)).take(taken).cloned().collect()
    }
}

/// The search must not see a worked solution.
fn without_solution(problem: Problem) -> Problem {
    Problem { solution: None, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> ProblemSets {
        let search = (0..count).map(|index| Problem { id: index.to_string(), ..Problem::default() }).collect();
        ProblemSets { search, ..ProblemSets::default() }
    }

    fn ids(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.id.as_str()).collect()
    }

    #[test]
    fn what_is_looked_at_is_never_trained_on() {
        let mut config = RunConfig { rounds: 2, ..RunConfig::default() };
        let problems = &mut config.problems;
        problems.families = vec!["town".into()];
        problems.out_of_domain_families = vec!["outskirts".into()];
        problems.out_of_domain_steps = vec![4, 5];
        (problems.min_steps, problems.max_steps, problems.warm_start) = (3, 6, vec![10, 0, 5]);
        (problems.per_round, problems.held_out, problems.validation, problems.out_of_domain) = (20, 30, 20, 10);
        config.problems.check().unwrap();
        let sets = ProblemSets::generated(&config).unwrap();
        let sizes =
            [&sets.warm_start, &sets.search, &sets.held_out, &sets.validation, &sets.out_of_domain].map(Vec::len);
        assert_eq!(sizes, [15, 40, 30, 20, 10]);
        let questions: HashSet<&str> =
            sets.named().iter().flat_map(|(_, set)| *set).map(|one| one.question.as_str()).collect();
        assert_eq!(questions.len(), 115, "no two sets share a problem");
        // Who adds validation problems keeps the held-out ones.
        config.problems.validation = 0;
        assert_eq!(ProblemSets::generated(&config).unwrap().held_out, sets.held_out);
        let other = |problem: &Problem| {
            problem.family.as_deref() == Some("outskirts") && (4..=5).contains(&problem.difficulty.unwrap())
        };
        assert!(sets.out_of_domain.iter().all(other));
    }

    #[test]
    fn rounds_take_turns_and_begin_again() {
        let sets = numbered(5);
        assert_eq!(ids(&sets.of_round(1, 2)), ["0", "1"]);
        assert_eq!(ids(&sets.of_round(2, 2)), ["2", "3"]);
        assert_eq!(ids(&sets.of_round(3, 2)), ["4", "0"]);
        assert_eq!(ids(&sets.of_round(1, 9)), ["0", "1", "2", "3", "4"]);
        assert!(numbered(0).of_round(1, 2).is_empty());
    }
}
