//! The preference stage: pairs or lists from files, some of them held out, given to the trainer.

use crate::config::{Credit, PreferConfig, RunConfig};
use crate::context::Context;
use crate::contract::Identity;
use crate::stage::pair_data::{self, Preferences, Reading};
use crate::stage::shards::is_part;
use crate::stage::train::{Given, TrainManifest, TrainResult, Training, deciding, of_trees};
use anyhow::{Context as _, Result, bail};
use espalier_files::hash_path;
use espalier_model::Transformer;
use espalier_tokenizer::Tokenizer;
use espalier_trainer::objectives::Loss;
use espalier_trainer::{Objective, PreferencePair, SiblingList, TrainConfig, Trainer};
use espalier_tree::{Origin, OutcomePath, PathExample, Tree, outcome_pairs, outcome_paths};
use std::path::Path;

/// What a preference training is given.
struct Material {
    data: Preferences,
    /// Pairs that are only looked at.
    held_out: Vec<PreferencePair>,
}

impl Given for Material {
    fn count(&self) -> usize {
        self.data.count()
    }
}

impl Training<'_> {
    /// Preference training on the pairs or lists in `pairs`; those in `held_out`, and a share of the others if `config`
    /// says so, are only looked at.
    pub fn prefer(&self, pairs: &Path, held_out: Option<&Path>, context: &Context) -> Result<TrainManifest> {
        let config = context.config;
        let settings = &config.prefer;
        let mut identity = self.prefer_identity("prefer", config)?.input("pairs", pair_data::fingerprint(pairs)?);
        if let Some(path) = held_out {
            identity = identity.input("held-out pairs", pair_data::fingerprint(path)?);
        }
        let objective = objective(settings)?;
        let material = |model: &Transformer, tokenizer: &Tokenizer| {
            let reading = Reading::from(settings);
            let load = |path| pair_data::load(path, model, tokenizer, reading);
            let data = load(pairs)?;
            if let (0, [first, ..]) = (data.count(), data.skipped()) {
                let (skipped, row, reason) = (data.skipped().len(), first.row, &first.reason);
                bail!("no pair in {} can be used: {skipped} rows skipped, row {row} because {reason}", pairs.display());
            }
            let held_out = held_out.map(load).transpose()?.map(Preferences::into_pairs).unwrap_or_default();
            Ok(Material { data, held_out })
        };
        self.run(identity, None, &settings.train, context, material, |trainer, Material { mut data, mut held_out }| {
            held_out.extend(data.hold_out(settings.held_out_fraction, config.seed));
            train(trainer, &data, &held_out, &objective)
        })
    }

    /// Preference training on complete paths of stored trees: pairs of a correct and a wrong one, or, for losses over lists,
    /// all of a tree, each as often as it was sampled.
    pub fn prefer_paths(&self, trees: &Path, context: &Context) -> Result<TrainManifest> {
        let config = context.config;
        let identity = self
            .prefer_identity("prefer outcomes", config)?
            .with("sft.max_paths_per_problem", config.sft.max_paths_per_problem)
            .input("trees", hash_path(trees, is_part)?);
        let settings = &config.prefer;
        let objective = objective(settings)?;
        let stopped = "preference training stopped";
        let is_decided = settings.credit == Credit::Decision;
        if let Loss::List(_) = objective.loss() {
            let list = |tree: &Tree| {
                let list = path_list(outcome_paths(tree));
                list.map(|list| if is_decided { list.decided() } else { list })
            };
            let lists = |_: &Transformer, _: &Tokenizer| of_trees(trees, list);
            return self.run(identity, None, &settings.train, context, lists, |trainer, lists: Vec<_>| {
                Ok(TrainResult::of(trainer.prefer_lists(&lists, &[], &objective).context(stopped)?))
            });
        }
        let examples = |_: &Transformer, _: &Tokenizer| {
            of_trees(trees, |tree| {
                let pairs = outcome_pairs(tree, config.sft.max_paths_per_problem, config.seed).into_iter();
                pairs.map(move |(correct, wrong)| {
                    let pair = outcome_pair(correct, wrong);
                    if is_decided { pair.decided() } else { pair }
                })
            })
        };
        self.run(identity, None, &settings.train, context, examples, |trainer, examples: Vec<_>| {
            Ok(TrainResult::of(trainer.prefer_pairs(&examples, &[], &objective).context(stopped)?))
        })
    }
}

impl Training<'_> {
    fn prefer_identity(&self, stage: &str, config: &RunConfig) -> Result<Identity> {
        let defaults = RunConfig::default();
        self.identity(stage, config)?.setting("prefer", &deciding(&config.prefer)?, &deciding(&defaults.prefer)?)
    }
}

/// The objective that `settings` describe.
pub fn objective(settings: &PreferConfig) -> Result<Objective> {
    Ok(Objective::new(&settings.loss, &settings.parameters)?.with_sft_weight(settings.sft_weight))
}

/// Trains on `data` by `objective`: pairs and lists as such where the objective takes them, else lists as their pairs of
/// neighbours, and pairs as the lists that they make.
pub fn train(
    trainer: Trainer,
    data: &Preferences,
    held_out: &[PreferencePair],
    objective: &Objective,
) -> Result<TrainResult> {
    let Trainer { model, config, folder, observer } = trainer;
    // A curriculum is of use only if its order reaches the optimiser.
    let config = &TrainConfig { order: config.order.or(Some(data.order())), ..config.clone() };
    let trainer = Trainer { model, config, folder, observer };
    let row = |origin: &Origin| origin.row;
    let (trained, rows): (_, Vec<usize>) = match (objective.loss(), data) {
        (Loss::Pair(_), Preferences::Pairs(pairs, _)) => {
            (trainer.prefer_pairs(&pairs.examples, held_out, objective), pairs.origins.iter().map(row).collect())
        }
        (Loss::List(_), Preferences::Lists(lists)) => {
            (trainer.prefer_lists(&lists.examples, held_out, objective), lists.origins.iter().map(row).collect())
        }
        (Loss::Pair(_), Preferences::Lists(lists)) => {
            let lists = lists.examples.iter().zip(&lists.origins);
            let all = lists.flat_map(|(list, origin)| list.neighbours().into_iter().map(|pair| (pair, origin.row)));
            let (pairs, rows): (Vec<_>, _) = all.unzip();
            (trainer.prefer_pairs(&pairs, held_out, objective), rows)
        }
        (Loss::List(_), Preferences::Pairs(pairs, _)) => {
            let all = SiblingList::of_pairs(&pairs.examples).into_iter();
            let (rows, lists): (_, Vec<_>) = all.map(|(first, list)| (pairs.origins[first].row, list)).unzip();
            (trainer.prefer_lists(&lists, held_out, objective), rows)
        }
    };
    Ok(TrainResult::from_rows(trained.context("preference training stopped")?, data.skipped(), |example| rows[example]))
}

/// The complete paths of one prompt, by their rewards; nothing if there are fewer than two.
fn path_list(paths: Vec<OutcomePath>) -> Option<SiblingList> {
    let prompt_len = paths.first().filter(|_| paths.len() > 1)?.path.prompt_len();
    let prompt_ids = paths[0].path.ids[..prompt_len].to_vec();
    let steps = paths.iter().map(|one| one.path.ids[prompt_len..].to_vec()).collect();
    let (q, visits) = paths.iter().map(|one| (one.reward, one.visits)).unzip();
    Some(SiblingList { prompt_ids, steps, q, visits, weight: 1.0, q_scale: 1.0 })
}

fn outcome_pair(correct: PathExample, wrong: PathExample) -> PreferencePair {
    let prompt_len = correct.prompt_len();
    let mut prompt_ids = correct.ids;
    PreferencePair {
        chosen_ids: prompt_ids.split_off(prompt_len),
        prompt_ids,
        rejected_ids: wrong.ids[prompt_len..].to_vec(),
        q_chosen: 1.0,
        q_rejected: -1.0,
        visits_chosen: 1,
        visits_rejected: 1,
        weight: 1.0,
        q_scale: 1.0,
        reference: None,
    }
}
