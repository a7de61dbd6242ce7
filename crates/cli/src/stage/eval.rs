//! The evaluation stage: one greedy answer to each problem, judged.

use crate::folder;
use crate::progress::Progress;
use crate::run::config::RunConfig;
use crate::stage::policy_folder::PolicyFolder;
use anyhow::{Context, Result};
use espalier_task::{Problem, boxed, equivalent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// A named set of problems.
pub struct Group<'a> {
    /// `in_domain`, `out_of_domain` or a file's name.
    pub name: String,
    /// Its problems.
    pub problems: &'a [Problem],
}

/// `eval.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EvalReport {
    /// How answers were made.
    pub method: String,
    /// Hash of the policy's weights.
    pub policy: String,
    /// One score a group.
    pub groups: Vec<GroupScore>,
    /// Tokens sampled.
    pub sampled_tokens: u64,
    /// Seconds.
    pub wall_s: f64,
}

/// The score of a group of problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupScore {
    /// The group.
    pub name: String,
    /// Accuracy over all its problems.
    pub all: Score,
    /// Accuracy by family, where problems have one.
    pub families: BTreeMap<String, Score>,
    /// Accuracy by number of steps, where problems state it.
    pub difficulties: BTreeMap<u32, Score>,
    /// Answers in which no boxed answer was found.
    pub without_answer: usize,
}

/// Correct answers out of a number of problems, with the Wilson 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Problems.
    pub problems: usize,
    /// Of them answered correctly.
    pub correct: usize,
    /// correct / problems.
    pub accuracy: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
}

impl Score {
    /// Wilson's score interval (1927), which holds its level at small numbers and at accuracies near 0 and 1.
    pub fn new(correct: usize, problems: usize) -> Score {
        if problems == 0 {
            return Score { high: 1.0, ..Score::default() };
        }
        const Z: f64 = 1.959_963_984_540_054;
        let n = problems as f64;
        let p = correct as f64 / n;
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Score { problems, correct, accuracy: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }
}

/// Answers all problems greedily, scores them by group and publishes the report.
pub fn run(groups: &[Group], policy: &Path, out: &Path, title: &str, config: &RunConfig) -> Result<EvalReport> {
    if out.exists() {
        return folder::read_json(out);
    }
    let began = Instant::now();
    let source = PolicyFolder::open(policy)?;
    let (format, granularity) = config.format_of(&source);
    let mut sampler = source.sampler(config, format, granularity)?;
    let problems: Vec<&Problem> = groups.iter().flat_map(|group| group.problems).collect();
    let prompts: Vec<String> = problems.iter().map(|problem| format.prompt(granularity, &problem.question)).collect();
    let progress = Progress::new(title, prompts.len() as u64);
    let texts = espalier_policy::generate(&mut sampler, &prompts, config.eval.max_tokens, |done| {
        progress.at(done as u64, String::new());
    })
    .context("the policy failed to answer")?;

    let mut answers = problems.iter().zip(&texts);
    let groups = groups.iter().map(|group| score(group, answers.by_ref().take(group.problems.len()))).collect();
    let report = EvalReport {
        method: "greedy".into(),
        policy: sampler.policy_hash(),
        groups,
        sampled_tokens: sampler.stats().tokens_sampled,
        wall_s: began.elapsed().as_secs_f64(),
    };
    folder::write_json(out, &report)?;
    let scores: Vec<String> = report
        .groups
        .iter()
        .map(|group| format!("{} {:.1} %", group.name.replace('_', " "), 100.0 * group.all.accuracy))
        .collect();
    progress.finish(&format!("{} in {:.1} s", scores.join(", "), report.wall_s));
    Ok(report)
}

fn score<'a>(group: &Group, answers: impl Iterator<Item = (&'a &'a Problem, &'a String)>) -> GroupScore {
    let mut all = (0, 0);
    let mut families: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut difficulties: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    let mut without_answer = 0;
    for (problem, text) in answers {
        let answer = boxed(text);
        without_answer += usize::from(answer.is_none());
        let correct = usize::from(answer.is_some_and(|answer| equivalent(&problem.answer, answer)));
        let add = |tally: &mut (usize, usize)| {
            tally.0 += correct;
            tally.1 += 1;
        };
        add(&mut all);
        if let Some(family) = &problem.family {
            add(families.entry(family.clone()).or_default());
        }
        if let Some(difficulty) = problem.difficulty {
            add(difficulties.entry(difficulty).or_default());
        }
    }
    let finish = |(correct, problems)| Score::new(correct, problems);
    GroupScore {
        name: group.name.clone(),
        all: finish(all),
        families: families.into_iter().map(|(name, tally)| (name, finish(tally))).collect(),
        difficulties: difficulties.into_iter().map(|(steps, tally)| (steps, finish(tally))).collect(),
        without_answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_interval_by_hand() {
        // n = 10, p = 0.5: centre 0.5, half = 1.96 / 1.38415 * sqrt(0.025 + 0.0096037) = 0.26340.
        let score = Score::new(5, 10);
        assert!((score.low - 0.236_59).abs() < 1e-4 && (score.high - 0.763_41).abs() < 1e-4, "{score:?}");
        // At p = 0 the lower bound is 0 and the upper z^2 / (n + z^2).
        let none = Score::new(0, 10);
        assert!(none.low.abs() < 1e-12 && (none.high - 3.841_459 / 13.841_459).abs() < 1e-6, "{none:?}");
    }
}
