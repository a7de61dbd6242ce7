//! One round: search, pairs, supervised training on found paths, preference training, value head, evaluation.
//!
//! Round 0 is the warm start. Each stage publishes its own output, so a killed round goes on where it was.

use crate::config::RunConfig;
use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place, RECORD, Record};
use crate::run::folder::RunFolder;
use crate::run::improve::{improve, tidy};
use crate::run::manifest::RoundManifest;
use crate::run::problems::ProblemSets;
use crate::stage::eval::{self, Group};
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::policy_source::{PolicySource, servers_of_run};
use crate::stage::train::Training;
use anyhow::Result;
use espalier_files::{copy_whole, read_json};
use std::collections::BTreeMap;

/// Raised when a round with equal settings does something else than before.
const RULES: u32 = 1;

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

/// Takes over what another run has done alike of a round: a part of the round's folder, and of round 0 the policy that came of
/// it. Its own stage looks at it, and refuses what is not the same.
///
/// # Errors
/// A part that cannot be copied.
pub(crate) fn adopt(run: &RunFolder, from: &RunFolder, round: u32, part: &str, context: &Context) -> Result<()> {
    let place = Place::folder(&run.round(round), |_| false, &[]);
    // The round is begun: what lies in it from now on is its own.
    let Begun::Work(_work) = contract::begin::<RoundManifest>(place, identity(round, context.config)?, context)? else {
        return Ok(());
    };
    if round == 0 {
        copy_whole(&from.policy(1), &run.policy(1))?;
    }
    Ok(copy_whole(&from.round(round).join(part), &run.round(round).join(part))?)
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
    Ok(RoundManifest { training, ..RoundManifest::new(0) })
}
