//! `report.json`: how well a verifier ranks and predicts on trees that it was not made of.

use super::VerifierTrees;
use super::ablation::Ablation;
use super::material::{HeldOut, problems_of};
use super::measure::{Section, Subjects};
use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place};
use crate::stage::policy_folder::{PolicyFolder, fingerprint};
use crate::stage::shards::is_part;
use anyhow::{Context as _, Result};
use espalier_files::hash_path;
use espalier_tree::{Tree, TreeError, read_trees};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;

/// Raised when equal verifiers and trees give another report than before.
const RULES: u32 = 1;

/// `report.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VerifierReport {
    /// Fingerprint of the verifier's folder.
    pub verifier: String,
    /// Its heads.
    pub heads: usize,
    /// On held-out problems, where there are some.
    pub held_out: Option<Section>,
    /// On the other folder of trees, where one was given: without the problems that the verifier was made of.
    pub also: Option<Section>,
    /// Seconds of all processes that worked on it.
    pub wall_s: f64,
}

/// What is measured against what.
#[derive(Clone, Copy, Debug)]
pub struct Reporting<'a> {
    /// The verifier's folder.
    pub verifier: &'a Path,
    /// The policy that it was made of; its own value head is measured, too.
    pub policy: &'a Path,
    /// The trees.
    pub material: VerifierTrees<'a>,
    /// The report to write.
    pub out: &'a Path,
}

/// Measures a verifier, and publishes the report.
///
/// # Errors
/// Folders and trees that cannot be read or do not go together.
pub fn run(reporting: &Reporting, context: &Context) -> Result<VerifierReport> {
    let Reporting { verifier, policy, material, out } = *reporting;
    let config = context.config;
    let hash = fingerprint(verifier)?;
    let mut identity = Identity::new("verifier report", RULES)
        .with("seed", config.seed)
        .with("verifier.held_out_fraction", config.verifier.held_out_fraction)
        .input("verifier", hash.clone())
        .input("policy", fingerprint(policy)?);
    for (at, folder) in material.trees.iter().enumerate() {
        identity = identity.input(&format!("trees {}", at + 1), hash_path(folder, is_part)?);
    }
    for (name, folder) in [("held-out trees", material.held_out), ("other trees", material.also)] {
        if let Some(folder) = folder {
            identity = identity.input(name, hash_path(folder, is_part)?);
        }
    }
    let work = match contract::begin(Place::report(out), identity, context)? {
        Begun::Done(done) => return Ok(done),
        Begun::Work(work) => work,
    };
    context.observer.began("verifier: report", 0);
    let folder = PolicyFolder::open(verifier)?;
    let (scorer, policy) = (folder.open_verifier(config)?, PolicyFolder::open(policy)?);
    let value_head = policy.has_value_head().then(|| policy.open_verifier(config)).transpose()?;
    let heads = scorer.heads();
    let mut subjects = Subjects { verifier: scorer, value_head, tokenizer: folder.tokenizer()? };
    let held_out = HeldOut::new(material.held_out, config)?;

    let mut trained_on = HashSet::new();
    for folder in material.trees {
        trained_on.extend(problems_of(folder)?.into_iter().filter(|problem| !held_out.holds(problem)));
    }
    let folders: Vec<&Path> = match material.held_out {
        Some(folder) => vec![folder],
        None => material.trees.iter().map(AsRef::as_ref).collect(),
    };
    let trees = of_folders(&folders, |problem| held_out.holds(problem))?;
    let held_out = subjects.measure(trees, &Ablation::ALL, config.seed)?;
    let also = material.also.map(|folder| {
        let trees = of_folders(&[folder], |problem| !trained_on.contains(problem))?;
        subjects.measure(trees, &[], config.seed)
    });
    let report = VerifierReport {
        verifier: hash,
        heads,
        held_out: (held_out.states > 0).then_some(held_out),
        also: also.transpose()?.filter(|section| section.states > 0),
        wall_s: work.wall_s(),
    };
    let result = report.result();
    work.finish(&report, &result)?;
    context.observer.finished(&result);
    Ok(report)
}

impl VerifierReport {
    /// The result in one line.
    fn result(&self) -> String {
        match &self.held_out {
            Some(Section { verifier, .. }) => format!(
                "{:.1} % of {} held-out pairs ranked right, in {:.1} s",
                100.0 * verifier.ranked_right.mean,
                verifier.pairs,
                self.wall_s
            ),
            None => format!("no problem held out, in {:.1} s", self.wall_s),
        }
    }
}

/// The trees in some folders whose problems are `wanted`.
fn of_folders<'a>(
    folders: &[&Path],
    wanted: impl Fn(&str) -> bool + 'a,
) -> Result<impl Iterator<Item = Result<Tree, TreeError>> + 'a> {
    let readers = folders
        .iter()
        .map(|folder| read_trees(folder).with_context(|| format!("cannot read trees in {}", folder.display())));
    let trees = readers.collect::<Result<Vec<_>>>()?.into_iter().flatten();
    Ok(trees.filter(move |tree| tree.as_ref().map_or(true, |tree| wanted(&tree.info.problem_id))))
}
