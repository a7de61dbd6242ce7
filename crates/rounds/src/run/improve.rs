//! A CPL round: search, pairs, and the stages that its configuration names, each from the policy of the one before it.

use crate::config::{Preferred, RoundStage, RunConfig};
use crate::context::Context;
use crate::run::folder::RunFolder;
use crate::run::gate;
use crate::run::manifest::RoundManifest;
use crate::run::problems::ProblemSets;
use crate::stage::extrapolate;
use crate::stage::pairs;
use crate::stage::policy_folder::PolicyFolder;
use crate::stage::policy_source::PolicySource;
use crate::stage::search::{self, Search};
use crate::stage::train::{Training, count_paths};
use anyhow::{Result, bail};
use espalier_files::remove_folder;
use std::path::{Path, PathBuf};

/// Name of the policy between the stages that is extrapolated.
const EXTRAPOLATED: &str = "extrapolated";
/// Name of the policy that the gate lets through.
const GATED: &str = "gated";

/// A CPL round (algorithm, section 6).
pub(super) fn improve(run: &RunFolder, round: u32, sets: &ProblemSets, context: &Context) -> Result<RoundManifest> {
    let mut manifest = RoundManifest::new(round);
    let policy = run.policy(round);
    let mut round =
        UnderWay { run, round, sets, context, policy, trees: trees(run, round), pairs: run.round(round).join("pairs") };
    if context.config.round.gate > 0.0 && sets.validation.is_empty() {
        bail!("round.gate needs problems to look at; set problems.validation before init, or give init --validation");
    }
    manifest.search = Some(round.search()?);
    manifest.pairs = Some(pairs::run(&round.trees, &round.pairs, context)?);
    let config = &context.config.round;
    for &stage in &config.stages {
        round.stage(stage, &mut manifest)?;
        if Some(stage) == config.last_change() {
            if config.extrapolation > 0.0 {
                round.extrapolate(stage)?;
            }
            if config.gate > 0.0 {
                manifest.gate = Some(round.gate()?);
            }
        }
    }
    Ok(manifest)
}

/// A round under way.
struct UnderWay<'a> {
    run: &'a RunFolder,
    round: u32,
    sets: &'a ProblemSets,
    context: &'a Context<'a>,
    /// The policy as it is by now.
    policy: PathBuf,
    /// The trees that are learnt from.
    trees: PathBuf,
    /// Their pairs.
    pairs: PathBuf,
}

impl UnderWay<'_> {
    fn search(&self) -> Result<search::SearchManifest> {
        let UnderWay { run: _, round, sets, context, .. } = *self;
        let problems = sets.of_round(round, context.config.problems.per_round);
        let policy = PolicySource::of_run(&self.policy, context.config)?;
        search::run(&Search { problems: &problems, policy: &policy, round, out: &self.trees }, context)
    }

    fn stage(&mut self, stage: RoundStage, manifest: &mut RoundManifest) -> Result<()> {
        let UnderWay { run, round, sets, context, .. } = *self;
        let (config, out, name) = (context.config, run.round(round), stage.name());
        let next = self.after(name);
        let (title, work) = (format!("round {round}: {name}"), out.join("train").join(name));
        let training = Training { title: &title, policy: &self.policy, out: &next, work: &work };
        let trained = match stage {
            RoundStage::Sft if config.sft.rehearse => {
                let mut found: Vec<PathBuf> = (1..round).map(|round| trees(run, round)).collect();
                found.push(self.trees.clone());
                training.sft_on_trees(&found, &sets.rehearsed(), context)?
            }
            RoundStage::Sft => training.sft_on_trees(std::slice::from_ref(&self.trees), &[], context)?,
            RoundStage::Worked => {
                let count = count_paths(&self.trees, config)?;
                let worked: Vec<_> = sets.rehearsed().into_iter().cycle().take(count).collect();
                let task = config.task_of(PolicyFolder::open(&self.policy)?.prompting())?;
                training.sft_on_solutions(&worked, &config.sft.train, &task, context)?
            }
            RoundStage::Prefer if config.prefer.of == Preferred::Paths => {
                training.prefer_paths(&self.trees, context)?
            }
            RoundStage::Prefer => training.prefer(&self.pairs, None, context)?,
            RoundStage::Value => training.value(&self.trees, context)?,
            RoundStage::Search => {
                let again = out.join("again");
                (self.trees, self.pairs) = (again.join("trees"), again.join("pairs"));
                manifest.searched_again = Some(self.search()?);
                pairs::run(&self.trees, &self.pairs, context)?;
                return Ok(());
            }
        };
        manifest.training.insert(name.to_owned(), trained);
        self.policy = next;
        Ok(())
    }

    fn extrapolate(&mut self, stage: RoundStage) -> Result<()> {
        let (run, round, gamma) = (self.run, self.round, self.context.config.round.extrapolation);
        let previous = if round == 1 { run.policy(1) } else { between(&run.round(round - 1), stage.name()) };
        let next = self.after(EXTRAPOLATED);
        extrapolate::run(&self.policy, &previous, gamma, &next, self.context)?;
        self.policy = next;
        Ok(())
    }

    fn gate(&mut self) -> Result<gate::GateManifest> {
        let (before, next) = (self.run.policy(self.round), self.after(GATED));
        let out = self.run.round(self.round).join("gate");
        let decided = gate::run(&self.policy, &before, self.sets, &next, &out, self.round, self.context)?;
        self.policy = next;
        Ok(decided)
    }

    /// Where the policy lies that this comes to: the round's, if nothing comes after it.
    fn after(&self, name: &str) -> PathBuf {
        if steps(self.context.config).last() == Some(&name) {
            self.run.policy(self.round + 1)
        } else {
            between(&self.run.round(self.round), name)
        }
    }
}

/// What makes a policy in a round, by names, in order.
fn steps(config: &RunConfig) -> Vec<&'static str> {
    let mut names = Vec::new();
    for &stage in config.round.stages.iter().filter(|&&stage| stage != RoundStage::Search) {
        names.push(stage.name());
        if Some(stage) == config.round.last_change() {
            names.extend((config.round.extrapolation > 0.0).then_some(EXTRAPOLATED));
            names.extend((config.round.gate > 0.0).then_some(GATED));
        }
    }
    names
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
pub(super) fn tidy(run: &RunFolder, round: u32, config: &RunConfig) -> Result<()> {
    let kept = config.round.extrapolated().map(RoundStage::name);
    for name in steps(config) {
        if Some(name) != kept {
            remove_folder(&between(&run.round(round), name))?;
        } else if round > 1 {
            remove_folder(&between(&run.round(round - 1), name))?;
        }
    }
    gate::tidy(&run.round(round).join("gate"))
}
