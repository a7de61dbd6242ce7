//! The evaluation stage: a policy answers problems, the answers are judged and scored.
//!
//! ```text
//!  problems ─► prompts ─► greedy │ sample │ beam │ mcts ─► texts ─► grades ─► the policy's answer to each problem
//!                              (answer.rs, journalled)      (grade)   (vote.rs)      │
//!                                                 samples Parquet ◄──────────────────┴─► eval.json: scores
//! ```

pub mod answer;
pub mod compare;
mod journal;
pub mod samples;
pub mod score;
mod vote;

pub use score::{Estimate, GroupScore, Score};

use crate::progress::Progress;
use crate::run::config::RunConfig;
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::search::Skipped;
use answer::{Answered, Task};
use anyhow::{Context, Result};
use clap::ValueEnum;
use espalier_files::{fingerprint, publish_json, read_json};
use espalier_task::{Grader, Problem};
use journal::Journal;
use rayon::prelude::*;
use samples::Sample;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

/// A named set of problems.
pub struct Group<'a> {
    /// `in_domain`, `out_of_domain` or a file's name.
    pub name: String,
    /// Its problems.
    pub problems: &'a [Problem],
}

/// How a policy answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Method {
    /// One answer of the likeliest token at every place.
    #[default]
    Greedy,
    /// Several sampled answers: pass@k of them, and the answer that most of them give (arXiv:2203.11171).
    Sample,
    /// Beam search over steps, guided by the value head; its solutions vote. It does not see the reference.
    Beam,
    /// Monte-Carlo tree search that does not see the reference; its solutions vote.
    Mcts,
}

/// `eval.json`. The samples are in a Parquet file beside it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EvalReport {
    /// How answers were made.
    pub method: Method,
    /// Hash of the policy's weights.
    pub policy: String,
    /// One score a group.
    pub groups: Vec<GroupScore>,
    /// Problems that the policy could not be asked; they count as answered wrongly.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// Tokens sampled by the process that finished the stage.
    pub sampled_tokens: u64,
    /// Seconds of the process that finished the stage.
    pub wall_s: f64,
}

/// What decides the answers.
#[derive(Serialize)]
struct Identity<'a> {
    config: RunConfig,
    policy: &'a str,
    problems: &'a [&'a Problem],
}

/// Answers all problems, scores them by group and publishes the samples, then the report.
pub fn run(groups: &[Group], policy: &Path, out: &Path, title: &str, config: &RunConfig) -> Result<EvalReport> {
    if out.exists() {
        return Ok(read_json(out)?);
    }
    let began = Instant::now();
    let problems: Vec<&Problem> = groups.iter().flat_map(|group| group.problems).collect();
    let grader = Grader::new(problems.iter().copied(), config.eval.boxed_only)?;
    let source = PolicyFolder::open(policy)?;
    let (format, granularity) = config.format_of(source.prompting());
    let mut sampler = source.sampler(config, format, granularity)?;
    let hash = sampler.policy_hash();
    let identity = Identity { config: config.without_runtime(), policy: &hash, problems: &problems };
    let mut journal = Journal::open(out, &fingerprint(&identity)?)?;

    let progress = Progress::new(title, problems.len() as u64);
    let mut answered: Vec<Option<Answered>> = journal.take_found(problems.len());
    let mut done = answered.iter().flatten().count();
    let todo: Vec<usize> = (0..problems.len()).filter(|&index| answered[index].is_none()).collect();
    let task = Task { problems: &problems, todo: &todo, format, granularity, config };
    task.run(&mut sampler, &mut |index, answer: Answered| {
        journal.append(index, &answer)?;
        answered[index] = Some(answer);
        done += 1;
        progress.at(done as u64, String::new());
        Ok(())
    })?;
    let answered: Vec<Answered> = answered.into_iter().map(Option::unwrap_or_default).collect();

    let samples = problems
        .par_iter()
        .zip(&answered)
        .map(|(problem, answered)| grade(&grader, problem, answered))
        .collect::<Result<Vec<Vec<Sample>>>>()?;
    let mut left = samples.as_slice();
    let mut scores = Vec::new();
    for group in groups {
        let (own, rest) = left.split_at(group.problems.len());
        scores.push(GroupScore::new(&group.name, group.problems, own, config.eval.method, config.seed));
        left = rest;
    }
    let skipped = problems.iter().zip(&answered).filter_map(|(problem, answered)| {
        Some(Skipped { problem_id: problem.id.clone(), reason: answered.skipped.clone()? })
    });
    let report = EvalReport {
        method: config.eval.method,
        policy: hash,
        groups: scores,
        skipped: skipped.collect(),
        sampled_tokens: sampler.stats().tokens_sampled,
        wall_s: began.elapsed().as_secs_f64(),
    };
    let names = groups.iter().flat_map(|group| group.problems.iter().map(|_| group.name.as_str()));
    samples::write(&samples::path_beside(out), &names.collect::<Vec<_>>(), &problems, &samples)?;
    publish_json(out, &report)?;
    journal.remove()?;
    let scores: Vec<String> = report
        .groups
        .iter()
        .map(|group| format!("{} {:.1} %", group.name.replace('_', " "), 100.0 * group.all.accuracy))
        .collect();
    progress.finish(&format!("{} in {:.1} s", scores.join(", "), report.wall_s));
    Ok(report)
}

/// Grades what was answered to a problem, and says which of it is the policy's answer.
fn grade(grader: &Grader, problem: &Problem, answered: &Answered) -> Result<Vec<Sample>> {
    let graded = answered.texts.iter().map(|text| {
        let grade = grader.grade(problem, &text.text)?;
        Ok(Sample {
            text: text.text.clone(),
            answer: grade.answer,
            correct: grade.correct,
            tokens: text.tokens,
            logprob_nats: text.logprob_nats,
            weight: text.weight,
            chosen: false,
        })
    });
    let mut samples = graded.collect::<Result<Vec<_>>>().with_context(|| format!("problem {}", problem.id))?;
    if let Some(chosen) = vote::winner(&samples) {
        samples[chosen].chosen = true;
    }
    Ok(samples)
}
