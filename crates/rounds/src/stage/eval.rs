//! The evaluation stage: a policy answers problems under the contract of a stage, and `eval.json` says how well.

use crate::config::{Method, RunConfig};
use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place};
use crate::judging::{self, Judging};
use crate::stage::policy_folder::{self, PolicyFolder};
use crate::stage::policy_source::PolicySource;
use crate::stage::search::{Skipped, settings};
use crate::stage::tasks::{asked, described};
use crate::stage::values::{Searched, Values};
use anyhow::{Context as _, Result, bail};
use espalier_eval::{
    AnswerJournal, Answered, Answering, EvalError, GroupScore, ProblemSamples, Sample, grade, read_samples,
    samples_beside, stops, write_samples,
};
use espalier_files::{fingerprint, read_input_text};
use espalier_search::Stops;
use espalier_task::{AnswerKind, Grader, Problem, Task, TaskError};
use espalier_tree::Ending;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A named set of problems.
pub struct Group<'a> {
    /// `in_domain`, `out_of_domain` or a file's name.
    pub name: String,
    /// Its problems.
    pub problems: &'a [Problem],
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
    /// Seconds of all processes that worked on it.
    pub wall_s: f64,
}

impl EvalReport {
    fn in_a_line(&self) -> String {
        let score =
            |group: &GroupScore| format!("{} {:.1} %", group.name.replace('_', " "), 100.0 * group.all.accuracy);
        let scores: Vec<String> = self.groups.iter().map(score).collect();
        format!("{} in {:.1} s", scores.join(", "), self.wall_s)
    }
}

/// Raised when equal settings, problems and policies give other answers or grades than before.
const RULES: u32 = 2;

/// Answers all problems, scores them by group and publishes the samples, then the report. Sampled answers are also put before
/// a `verifier`, if one is given.
pub fn run(
    groups: &[Group],
    source: &PolicySource,
    verifier: Option<&PolicyFolder>,
    out: &Path,
    title: &str,
    context: &Context,
) -> Result<EvalReport> {
    let config = context.config;
    if let Some(verifier) = verifier {
        check_verifier(verifier, source, config)?;
    }
    let problems: Vec<&Problem> = groups.iter().flat_map(|group| group.problems).collect();
    let task = source.task(config)?;
    let grader = Grader::new(problems.iter().copied(), config.eval.boxed_only)?.of_task(&task);
    let is_searched = matches!(config.eval.method, Method::Beam | Method::Mcts);
    let values = if is_searched { Values::look(config, source)? } else { Values::NONE };
    let judging = Judging::open(&config.judging, &task, problems.iter().copied(), context.notice)?;
    let mut opened = source.open(config, context.notice)?;
    let hash = opened.about().policy_hash.clone();
    let mut identity = identity(groups, config, (&task, source), hash.clone())?;
    identity = values.identify(identity, config)?;
    if let Some(verifier) = verifier {
        identity = identity.input("verifier", policy_folder::fingerprint(verifier.path())?);
    }
    let mut work = match contract::begin(Place::report(out), identity, context)? {
        Begun::Done(done) => return Ok(done),
        Begun::Work(work) => work,
    };
    let (mut journal, mut answered) = AnswerJournal::open(&out.with_extension("journal"), problems.len())?;
    let total = problems.len() as u64;
    context.observer.began(title, total);
    let mut done = answered.iter().flatten().count();
    let todo: Vec<usize> = (0..problems.len()).filter(|&index| answered[index].is_none()).collect();
    let answering = Answering {
        problems: &problems,
        todo: &todo,
        task: &task,
        eval: &config.eval,
        search: settings(config, &task, opened.about().has_value_head),
        in_flight: config.runtime.in_flight,
        run_id: &config.name,
        seed: config.seed,
    };
    let tree_info = |index: u64| answering.tree_info(problems[index as usize]);
    // References are not looked at.
    let searched = Searched { info: &tree_info, start: &|_| String::new(), judge: None };
    let sources = values.open(searched, source, config, context.notice)?;
    let mut policy = asked(opened.policy()?, source, &task)?;
    let sampled_tokens = sources.with(policy.as_mut(), |policy| {
        answering.run(policy, &mut |index, answer: Answered| {
            journal.append(index, &answer)?;
            answered[index] = Some(answer);
            done += 1;
            context.observer.advanced(done as u64, total, "");
            Ok(work.note()?)
        })?;
        Ok(policy.stats().tokens_sampled)
    })?;
    let mut answered: Vec<Answered> = answered.into_iter().map(Option::unwrap_or_default).collect();
    let scores = match verifier {
        None => Vec::new(),
        Some(verifier) => {
            let prompts: Vec<Vec<u32>> = problems
                .iter()
                .map(|problem| {
                    let prompt = answering.prompt(problem).ok();
                    prompt.and_then(|prompt| policy.tokenize(&prompt).ok()).unwrap_or_default()
                })
                .collect();
            // Two models need not be there at once.
            drop(policy);
            drop(opened);
            verify(verifier, source, prompts, &answered, &stops(&task), config)?
        }
    };

    let mut samples = graded(&problems, &mut answered, &grader, &judging)?;
    for (samples, scores) in samples.iter_mut().zip(scores) {
        samples.iter_mut().zip(scores).for_each(|(sample, score)| sample.score = score);
    }
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
        sampled_tokens,
        wall_s: work.wall_s(),
    };
    let names = groups.iter().flat_map(|group| group.problems.iter().map(|_| group.name.as_str()));
    write_samples(&samples_beside(out), &names.collect::<Vec<_>>(), &problems, &samples)?;
    let result = report.in_a_line();
    work.finish(&report, &result)?;
    context.observer.finished(&result);
    judging.report(context);
    Ok(report)
}

/// Reads a report with the samples beside it, which must be those that it was made of.
///
/// # Errors
/// A file that is missing, damaged or another evaluation's.
pub fn read(path: &Path) -> Result<(EvalReport, Vec<ProblemSamples>)> {
    let shown = path.display();
    let text = read_input_text(path).with_context(|| format!("cannot read {shown}"))?;
    let report: EvalReport =
        serde_json::from_str(&text).with_context(|| format!("{shown} is damaged, or no report of `eval`"))?;
    let samples = read_samples(&samples_beside(path))?;
    let mut tallies: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for problem in &samples {
        let (problems, correct) = tallies.entry(&problem.group).or_default();
        *problems += 1;
        *correct += usize::from(problem.samples.iter().any(|sample| sample.chosen && sample.correct));
    }
    let stated = report.groups.iter().map(|group| (group.name.as_str(), (group.all.problems, group.all.correct)));
    if stated.filter(|(_, (problems, _))| *problems > 0).collect::<BTreeMap<_, _>>() != tallies {
        bail!("{shown} does not say what the samples beside it say; evaluate again, or give the report they belong to");
    }
    Ok((report, samples))
}

/// The samples of all problems with their grades.
fn graded(
    problems: &[&Problem],
    answered: &mut [Answered],
    grader: &Grader,
    judging: &Judging,
) -> Result<Vec<Vec<Sample>>, EvalError> {
    let graded = problems.par_iter().zip(answered).map(|(problem, answered)| match grade(grader, problem, answered) {
        // Tests that cannot be run say nothing about the answer, and are no fault of the other problems.
        Err(EvalError::Grade { source: error @ TaskError::Tests { .. }, .. }) => {
            answered.skipped = Some(error.to_string());
            Ok(Vec::new())
        }
        graded => graded.map(|samples| judged(samples, problem, judging)),
    });
    graded.collect()
}

/// The samples as the judges have them, if others than the comparison of answers are asked. A program is its tests' to judge.
fn judged(mut samples: Vec<Sample>, problem: &Problem, judging: &Judging) -> Vec<Sample> {
    let Some(panel) = judging.panel().filter(|_| problem.kind != AnswerKind::Code) else { return samples };
    let texts: Vec<&str> = samples.iter().map(|sample| sample.text.as_str()).collect();
    let verdicts = panel.paths(problem, &texts);
    for (sample, verdict) in samples.iter_mut().zip(verdicts) {
        sample.correct = verdict.ending == Ending::Correct;
    }
    samples
}

/// Refuses a verifier where none can be asked.
fn check_verifier(verifier: &PolicyFolder, source: &PolicySource, config: &RunConfig) -> Result<()> {
    if config.eval.method != Method::Sample {
        bail!("--verifier goes with --method sample: the other methods have one answer, or a vote of their own");
    }
    verifier.check_value_head()?;
    source.check_tokens_of(verifier)
}

/// The scores of all answers by problem, see [`answers::scores`](crate::stage::verifier::answers::scores).
#[cfg(feature = "local")]
fn verify(
    verifier: &PolicyFolder,
    source: &PolicySource,
    prompts: Vec<Vec<u32>>,
    answered: &[Answered],
    stops: &Stops,
    config: &RunConfig,
) -> Result<Vec<Vec<Option<f64>>>> {
    use crate::stage::verifier::answers::{Prompted, scores};
    let problems = prompts.into_iter().zip(answered);
    let problems: Vec<Prompted> = problems.map(|(prompt_ids, answered)| Prompted { prompt_ids, answered }).collect();
    scores(&problems, verifier, source.tokenizer()?.as_ref(), stops, config)
}

#[cfg(not(feature = "local"))]
fn verify(
    verifier: &PolicyFolder,
    _source: &PolicySource,
    _prompts: Vec<Vec<u32>>,
    _answered: &[Answered],
    _stops: &Stops,
    _config: &RunConfig,
) -> Result<Vec<Vec<Option<f64>>>> {
    bail!(
        "{} is a model folder, but this program was built without LibTorch; build with the feature `local`",
        verifier.path().display()
    )
}

/// What decides the answers.
fn identity(
    groups: &[Group],
    config: &RunConfig,
    (task, source): (&Task, &PolicySource),
    policy_hash: String,
) -> Result<Identity> {
    let defaults = RunConfig::default();
    let identity = judging::identify(Identity::new("eval", RULES), config, task)?;
    let mut identity = described(identity, task, || source.tokenizer())?
        .with("seed", config.seed)
        .setting("eval", &config.eval, &defaults.eval)?
        .setting("sampling", &config.sampling, &defaults.sampling)?
        .input("policy", policy_hash);
    match config.eval.method {
        Method::Greedy => {}
        Method::Sample => {
            let (temperature, default) = (config.search.temperature, defaults.search.temperature);
            identity = identity.setting("search.temperature", &temperature, &default)?;
        }
        Method::Beam | Method::Mcts => {
            identity = identity.setting("search", &config.search, &defaults.search)?;
        }
    }
    for Group { name, problems } in groups {
        identity = identity.input(&format!("problems {name}"), fingerprint(problems)?);
    }
    Ok(identity)
}
