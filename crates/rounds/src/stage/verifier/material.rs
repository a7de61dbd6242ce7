//! From stored trees to what a verifier is trained on.

use crate::config::{RunConfig, VerifierConfig};
use crate::stage::train::of_trees;
use anyhow::Result;
use espalier_files::{seed_from, unit_interval};
use espalier_trainer::{SiblingStates, VerifierObjective};
use espalier_tree::{NodeId, Tree, siblings};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Which problems are held out.
#[derive(Debug)]
pub(super) enum HeldOut {
    /// These.
    Problems(HashSet<String>),
    /// About this share of them, chosen with the seed as [`prefer`](crate::stage::prefer) chooses.
    Share(f64, u64),
}

impl HeldOut {
    /// Those of the trees in `folder`, else the share of the configuration.
    pub fn new(folder: Option<&Path>, config: &RunConfig) -> Result<HeldOut> {
        match folder {
            Some(folder) => Ok(HeldOut::Problems(problems_of(folder)?)),
            None => Ok(HeldOut::Share(config.verifier.held_out_fraction, config.seed)),
        }
    }

    /// Whether a problem is held out.
    pub fn holds(&self, problem: &str) -> bool {
        match self {
            HeldOut::Problems(problems) => problems.contains(problem),
            HeldOut::Share(share, seed) => unit_interval(seed_from(&[&"held out", seed, &problem])) < *share,
        }
    }
}

/// The problems of the trees in a folder.
pub(super) fn problems_of(folder: &Path) -> Result<HashSet<String>> {
    Ok(of_trees(folder, |tree| [tree.info.problem_id.clone()])?.into_iter().collect())
}

/// The siblings of all trees whose problems are not held out, as far as there is something to learn from them.
pub(super) fn examples(
    folders: &[PathBuf],
    held_out: &HeldOut,
    settings: &VerifierConfig,
) -> Result<Vec<SiblingStates>> {
    let mut examples = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for folder in folders {
        for mut of_tree in of_trees(folder, |tree| {
            let taken = (!held_out.holds(&tree.info.problem_id)).then(|| of_tree(tree, settings));
            taken.map(|examples| (tree.info.problem_id.clone(), examples))
        })? {
            let next = numbers.len();
            let problem = *numbers.entry(std::mem::take(&mut of_tree.0)).or_insert(next);
            examples.extend(of_tree.1.into_iter().map(|example| SiblingStates { problem, ..example }));
        }
    }
    Ok(examples)
}

/// What one tree has to say; its problem has no number yet.
fn of_tree(tree: &Tree, settings: &VerifierConfig) -> Vec<SiblingStates> {
    let ranks_alone = settings.objective == VerifierObjective::Ranking;
    let families = siblings(tree, &settings.pairs).into_iter();
    let mut examples: Vec<SiblingStates> = families
        .filter(|family| !ranks_alone || !family.pairs.is_empty())
        .map(|family| SiblingStates {
            problem: 0,
            prompt_ids: tree.prefix_ids(family.state),
            steps: family.steps.iter().map(|&step| tree.token_ids(step).to_vec()).collect(),
            q: family.steps.iter().map(|&step| tree.node(step).q() as f32).collect(),
            visits: family.steps.iter().map(|&step| tree.node(step).visits).collect(),
            pairs: family.pairs,
        })
        .collect();
    // The question has no siblings, but a search asks for its value first.
    let (root, prompt) = (tree.node(NodeId::ROOT), tree.token_ids(NodeId::ROOT));
    if let ([first, rest @ ..], false) = (prompt, ranks_alone)
        && root.visits > 0
        && !rest.is_empty()
    {
        examples.push(SiblingStates {
            problem: 0,
            prompt_ids: vec![*first],
            steps: vec![rest.to_vec()],
            q: vec![root.q() as f32],
            visits: vec![root.visits],
            pairs: Vec::new(),
        });
    }
    examples
}
