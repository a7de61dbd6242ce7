//! One round: search, pairs, supervised training on found paths, preference training, value head, evaluation.
//!
//! Round 0 is the warm start. Each stage publishes its own output, so a killed round goes on where it was.

use crate::config::{RoundStage, RunConfig};
use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place, RECORD, Record};
use crate::run::folder::RunFolder;
use crate::run::manifest::RoundManifest;
use crate::run::problems::ProblemSets;
use crate::stage::eval::{self, EvalReport, Group};
use crate::stage::extrapolate;
use crate::stage::pairs;
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::policy_source::{PolicySource, servers_of_run};
use crate::stage::search::{self, Search};
use crate::stage::train::{TrainManifest, Training};
use anyhow::Result;
use espalier_files::{read_json, remove_folder};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Raised when a round with equal settings does something else than before.
const RULES: u32 = 1;

/// Name of the policy between the stages that is extrapolated.
const EXTRAPOLATED: &str = "extrapolated";

/// Runs the stages of a round that are not done yet.
///
/// # Errors
/// What a stage fails with; the stages before it are kept.
pub fn run(run: &RunFolder, round: u32, context: &Context) -> Result<RoundManifest> {
    // What a later stage would refuse is refused before the first one trains.
    servers_of_run(context.config)?;
    let out = run.round(round);
    let place = Place::folder(&out, |_| false, &[]);
    let work = match contract::begin(place, identity(round, context.config)?, context)? {
        Begun::Done(done) => return Ok(done),
        Begun::Work(work) => work,
    };
    let sets = ProblemSets::read(&run.root().join("problems"))?;
    let mut manifest = if round == 0 { warm_start(run, &sets, context)? } else { improve(run, round, &sets, context)? };
    let title = format!("round {round}: eval");
    let policy = PolicySource::of_run(&run.policy(round + 1), context.config)?;
    manifest.eval = eval::run(&groups(&sets), &policy, None, &out.join("eval.json"), &title, context)?;
    tidy(run, round, context.config)?;
    work.finish(&manifest, &format!("round {round}"))?;
    Ok(manifest)
}

/// What decides a round: every setting of the run but those that decide only the speed.
fn identity(round: u32, config: &RunConfig) -> Result<Identity> {
    let mut identity = Identity::new("round", RULES).with("round", round);
    identity.settings.extend(config.canonical()?);
    Ok(identity)
}

/// The settings that were edited in a run's configuration since its last finished round, in words.
///
/// # Errors
/// A record that cannot be read.
pub fn edited(run: &RunFolder, round: u32, config: &RunConfig) -> Result<Vec<String>> {
    let Some(last) = round.checked_sub(1) else { return Ok(Vec::new()) };
    let path = run.round(last).join(RECORD);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let record: Record = read_json(&path)?;
    let now = identity(last, config)?.settings;
    let differing = record.identity.settings_that_differ(&now);
    Ok(differing.into_iter().map(|(key, was, is)| format!("{key} was {was} and is {is}")).collect())
}

/// What a policy is evaluated on.
pub fn groups(sets: &ProblemSets) -> Vec<Group<'_>> {
    [("in_domain", &sets.held_out), ("out_of_domain", &sets.out_of_domain)]
        .into_iter()
        .filter(|(_, problems)| !problems.is_empty())
        .map(|(name, problems)| Group { name: name.to_owned(), problems })
        .collect()
}

/// Round 0: supervised training on worked solutions, when the run has some.
fn warm_start(run: &RunFolder, sets: &ProblemSets, context: &Context) -> Result<RoundManifest> {
    let config = context.config;
    let work = run.round(0).join("train/warm_start");
    let training = Training { title: "round 0: warm start", policy: &run.policy(0), out: &run.policy(1), work: &work };
    let task = config.task_of_start(PolicyFolder::open(&run.policy(0))?.prompting())?;
    let trained = training.sft_on_solutions(&sets.warm_start, &config.warm_start, &task, context)?;
    let training = BTreeMap::from([("warm_start".to_owned(), trained)]);
    Ok(RoundManifest { round: 0, search: None, pairs: None, training, eval: EvalReport::default() })
}

/// A CPL round (algorithm, section 6).
fn improve(run: &RunFolder, round: u32, sets: &ProblemSets, context: &Context) -> Result<RoundManifest> {
    let problems = sets.of_round(round, context.config.problems.per_round);
    let (policy, trees) = (PolicySource::of_run(&run.policy(round), context.config)?, trees(run, round));
    let searched = search::run(&Search { problems: &problems, policy: &policy, round, out: &trees }, context)?;
    let paired = pairs::run(&trees, &run.round(round).join("pairs"), context)?;
    let training = train(run, round, sets, context)?;
    Ok(RoundManifest { round, search: Some(searched), pairs: Some(paired), training, eval: EvalReport::default() })
}

/// The round's training stages, each from the policy of the one before it.
fn train(
    run: &RunFolder,
    round: u32,
    sets: &ProblemSets,
    context: &Context,
) -> Result<BTreeMap<String, TrainManifest>> {
    let config = context.config;
    let out = run.round(round);
    let stages = &config.round.stages;
    let mut policy = run.policy(round);
    let mut manifests = BTreeMap::new();
    for (at, &stage) in stages.iter().enumerate() {
        let name = stage.name();
        let published = |is_last: bool, name: &str| if is_last { run.policy(round + 1) } else { between(&out, name) };
        let is_last = at + 1 == stages.len();
        let is_extrapolated = config.round.extrapolated() == Some(stage);
        let next = published(is_last && !is_extrapolated, name);
        let (title, work) = (format!("round {round}: {name}"), out.join("train").join(name));
        let training = Training { title: &title, policy: &policy, out: &next, work: &work };
        let manifest = match stage {
            RoundStage::Sft if config.sft.rehearse => {
                let found: Vec<PathBuf> = (1..=round).map(|round| trees(run, round)).collect();
                training.sft_on_trees(&found, &sets.rehearsed(), context)?
            }
            RoundStage::Sft => training.sft_on_trees(&[trees(run, round)], &[], context)?,
            RoundStage::Prefer => training.prefer(&out.join("pairs"), None, context)?,
            RoundStage::Value => training.value(&trees(run, round), context)?,
        };
        manifests.insert(name.to_owned(), manifest);
        policy = next;
        if is_extrapolated {
            let previous = if round == 1 { run.policy(1) } else { between(&run.round(round - 1), name) };
            let next = published(is_last, EXTRAPOLATED);
            extrapolate::run(&policy, &previous, config.round.extrapolation, &next, context)?;
            policy = next;
        }
    }
    Ok(manifests)
}

fn trees(run: &RunFolder, round: u32) -> PathBuf {
    run.round(round).join("trees")
}

/// The policy after a stage in the middle of a round.
fn between(out: &Path, stage: &str) -> PathBuf {
    out.join("train").join(stage).join("policy")
}

/// Removes the policies between the stages, which served to continue a killed round, but for the one that the next round
/// extrapolates from.
fn tidy(run: &RunFolder, round: u32, config: &RunConfig) -> Result<()> {
    let kept = config.round.extrapolated().map(RoundStage::name);
    for name in config.round.stages.iter().map(|stage| stage.name()).chain([EXTRAPOLATED]) {
        if Some(name) != kept {
            remove_folder(&between(&run.round(round), name))?;
        } else if round > 1 {
            remove_folder(&between(&run.round(round - 1), name))?;
        }
    }
    Ok(())
}
