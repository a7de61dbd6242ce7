//! One round: search, pairs, supervised training on found paths, preference training, value head, evaluation.
//!
//! Round 0 is the warm start. Each stage publishes its own output, so a killed round goes on where it was.

use crate::folder::{self, MANIFEST};
use crate::run::config::RunConfig;
use crate::run::folder::RunFolder;
use crate::run::problems::ProblemSets;
use crate::stage::eval::{self, EvalReport, Group};
use crate::stage::pairs::{self, PairsManifest};
use crate::stage::policy_folder::Prompting;
use crate::stage::search::{self, Search, SearchManifest};
use crate::stage::train::{TrainManifest, Training};
use anyhow::{Context, Result};
use espalier_task::{Format, Granularity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// `round-NNN/manifest.json`: everything the round's stages report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoundManifest {
    /// The round.
    pub round: u32,
    /// The search, in a CPL round.
    pub search: Option<SearchManifest>,
    /// The pairs, in a CPL round.
    pub pairs: Option<PairsManifest>,
    /// The training stages by name, in order of the alphabet.
    pub training: BTreeMap<String, TrainManifest>,
    /// The new policy's score.
    pub eval: EvalReport,
}

impl RoundManifest {
    /// Tokens sampled into trees and tokens trained on.
    pub fn tokens(&self) -> u64 {
        let trained: u64 = self.training.values().map(|stage| stage.summary.tokens).sum();
        trained + self.search.as_ref().map_or(0, |search| search.tree_tokens)
    }

    /// Seconds of all stages.
    pub fn wall_s(&self) -> f64 {
        self.training.values().map(|stage| stage.wall_s).sum::<f64>()
            + self.search.as_ref().map_or(0.0, |search| search.wall_s)
            + self.eval.wall_s
    }

    /// Problems that were skipped.
    pub fn failed(&self) -> usize {
        self.search.as_ref().map_or(0, |search| search.skipped.len())
    }
}

/// Runs the stages of a round that are not done yet.
pub fn run(run: &RunFolder, round: u32, config: &RunConfig) -> Result<RoundManifest> {
    let out = run.round(round);
    if let Some(done) = folder::manifest(&out)? {
        return Ok(done);
    }
    folder::ensure_writable(&out)?;
    let sets = ProblemSets::read(&run.root().join("problems"))?;
    let mut manifest = if round == 0 { warm_start(run, &sets, config)? } else { improve(run, round, &sets, config)? };
    let title = format!("round {round}: eval");
    manifest.eval = eval::run(&groups(&sets), &run.policy(round + 1), &out.join("eval.json"), &title, config)?;
    folder::write_json(&out.join(MANIFEST), &manifest)?;
    // The policies between the stages served to continue a killed round.
    for stage in ["sft", "prefer"] {
        remove(&between(&out, stage))?;
    }
    Ok(manifest)
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
fn warm_start(run: &RunFolder, sets: &ProblemSets, config: &RunConfig) -> Result<RoundManifest> {
    let work = run.round(0).join("train/warm_start");
    let training = Training { title: "round 0: warm start", policy: &run.policy(0), out: &run.policy(1), work: &work };
    let prompting = Prompting {
        format: config.format.unwrap_or(Format::Xml),
        granularity: config.granularity.unwrap_or(Granularity::Plan),
    };
    let trained = training.sft_on_solutions(&sets.warm_start, &config.warm_start, prompting, config)?;
    Ok(unevaluated(0, None, None, [("warm_start", trained)]))
}

/// A CPL round (algorithm, section 6).
fn improve(run: &RunFolder, round: u32, sets: &ProblemSets, config: &RunConfig) -> Result<RoundManifest> {
    let out = run.round(round);
    let (trees, pairs_out) = (out.join("trees"), out.join("pairs"));
    let problems = sets.of_round(round, config.problems.per_round);
    let policy = run.policy(round);
    let searched = search::run(&Search { problems: &problems, policy: &policy, round, out: &trees }, config)?;
    let paired = pairs::run(&trees, &pairs_out, config)?;

    let (after_sft, after_prefer) = (between(&out, "sft"), between(&out, "prefer"));
    let stage = |name: &str| (format!("round {round}: {name}"), out.join("train").join(name));
    let (title, work) = stage("sft");
    let (found, worked) = if config.sft.rehearse {
        ((1..=round).map(|round| run.round(round).join("trees")).collect(), sets.warm_start.as_slice())
    } else {
        (vec![trees.clone()], [].as_slice())
    };
    let sft = Training { title: &title, policy: &policy, out: &after_sft, work: &work }
        .sft_on_trees(&found, worked, config)?;
    let (title, work) = stage("prefer");
    let prefer = Training { title: &title, policy: &after_sft, out: &after_prefer, work: &work }
        .prefer(&pairs_out, None, config)?;
    let (title, work) = stage("value");
    let value = Training { title: &title, policy: &after_prefer, out: &run.policy(round + 1), work: &work }
        .value(&trees, config)?;
    Ok(unevaluated(round, Some(searched), Some(paired), [("sft", sft), ("prefer", prefer), ("value", value)]))
}

fn unevaluated<const N: usize>(
    round: u32,
    search: Option<SearchManifest>,
    pairs: Option<PairsManifest>,
    training: [(&str, TrainManifest); N],
) -> RoundManifest {
    let training = training.into_iter().map(|(name, manifest)| (name.to_owned(), manifest)).collect();
    RoundManifest { round, search, pairs, training, eval: EvalReport::default() }
}

/// The policy after a stage in the middle of a round.
fn between(out: &Path, stage: &str) -> std::path::PathBuf {
    out.join("train").join(stage).join("policy")
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
