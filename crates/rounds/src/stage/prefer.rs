//! The preference stage: pairs from files, some of them held out, given to the trainer.

use crate::config::{PreferConfig, RunConfig};
use crate::context::Context;
use crate::contract::Identity;
use crate::stage::pair_data::{self, LoadedPair, PairData, Reading};
use crate::stage::shards::is_part;
use crate::stage::train::{TrainManifest, Training, deciding, of_trees};
use anyhow::{Context as _, Result, bail};
use espalier_files::{hash_path, seed_from, unit_interval};
use espalier_model::Transformer;
use espalier_tokenizer::Tokenizer;
use espalier_trainer::objectives::Loss;
use espalier_trainer::{
    Objective, Observer, Order, PreferencePair, SiblingList, SkippedRow, TrainConfig, TrainSummary, train_preference,
    train_siblings,
};
use espalier_tree::{PathExample, outcome_pairs};
use std::cell::RefCell;
use std::path::Path;

impl Training<'_> {
    /// Preference training on the pairs in `pairs`; those in `held_out`, and a share of the others if `config` says so,
    /// are only looked at.
    pub fn prefer(&self, pairs: &Path, held_out: Option<&Path>, context: &Context) -> Result<TrainManifest> {
        let config = context.config;
        let settings = &config.prefer;
        let mut identity = self.prefer_identity("prefer", config)?.input("pairs", hash_path(pairs, is_part)?);
        if let Some(path) = held_out {
            identity = identity.input("held-out pairs", hash_path(path, is_part)?);
        }
        let objective = objective(settings)?;
        let given = RefCell::new((PairData::default(), PairData::default()));
        let examples = |tokenizer: &Tokenizer| {
            let reading = Reading { solution_q_scale: settings.solution_q_scale, append_eos: settings.append_eos };
            let mut data = pair_data::load(pairs, tokenizer, reading)?;
            if let (true, Some(first)) = (data.pairs.is_empty(), data.skipped.first()) {
                let (skipped, row, reason) = (data.skipped.len(), first.row, &first.reason);
                bail!("no pair in {} can be used: {skipped} rows skipped, row {row} because {reason}", pairs.display());
            }
            let others = held_out.map(|path| pair_data::load(path, tokenizer, reading)).transpose()?;
            let all = std::mem::take(&mut data.pairs);
            *given.borrow_mut() = (data, others.unwrap_or_default());
            Ok(all)
        };
        self.run(identity, None, context, examples, |model, pairs, work, bar| {
            let (rest, mut others) = given.take();
            let mut data = PairData { pairs, ..rest };
            split(&mut data, &mut others, settings.held_out_fraction, config.seed);
            train(model, data, &others, &objective, settings, work, bar)
        })
    }

    /// Preference training on complete paths of stored trees, correct against wrong.
    pub fn prefer_outcomes(&self, trees: &Path, context: &Context) -> Result<TrainManifest> {
        let config = context.config;
        let identity = self
            .prefer_identity("prefer outcomes", config)?
            .with("sft.max_paths_per_problem", config.sft.max_paths_per_problem)
            .input("trees", hash_path(trees, is_part)?);
        let settings = &config.prefer;
        let objective = objective(settings)?;
        let examples = |_: &Tokenizer| {
            of_trees(trees, |tree| {
                let pairs = outcome_pairs(tree, config.sft.max_paths_per_problem, config.seed).into_iter();
                pairs.map(|(correct, wrong)| outcome_pair(correct, wrong))
            })
        };
        self.run(identity, None, context, examples, |model, examples, work, bar| {
            train_preference(model, &examples, &[], &objective, &settings.train, work, bar)
                .context("preference training stopped")
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

/// Moves about `fraction` of the pairs to those held out: all of a tree, or of a prompt, or none.
pub fn split(data: &mut PairData, held_out: &mut PairData, fraction: f64, seed: u64) {
    let goes = |loaded: &LoadedPair| unit_interval(seed_from(&[&"held out", &seed, &loaded.family])) < fraction;
    let (moved, kept) = std::mem::take(&mut data.pairs).into_iter().partition::<Vec<_>, _>(goes);
    data.pairs = kept;
    held_out.pairs.extend(moved);
}

/// Trains on `data` by `objective`, over pairs or over the lists that they make.
pub fn train(
    model: &mut Transformer,
    data: PairData,
    held_out: &PairData,
    objective: &Objective,
    settings: &PreferConfig,
    work: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary> {
    let PairData { pairs: loaded, skipped, policy_hash, is_arranged } = data;
    // A curriculum is of use only if its order reaches the optimiser.
    let order = settings.train.order.unwrap_or(if is_arranged { Order::AsGiven } else { Order::Shuffled });
    let config = &TrainConfig { order: Some(order), ..settings.train.clone() };
    // What the sampling policy said is what the reference says only if they are the same.
    let known = policy_hash.is_some_and(|hash| hash == model.hash());
    let rows: Vec<usize> = loaded.iter().map(|loaded| loaded.row).collect();
    let with_reference =
        |loaded: LoadedPair| PreferencePair { reference: loaded.pair.reference.filter(|_| known), ..loaded.pair };
    let pairs: Vec<PreferencePair> = loaded.into_iter().map(with_reference).collect();
    let held_out: Vec<PreferencePair> =
        held_out.pairs.iter().map(|loaded| PreferencePair { reference: None, ..loaded.pair.clone() }).collect();
    let stopped = "preference training stopped";
    let mut summary = match objective.loss() {
        Loss::Pair(_) => {
            train_preference(model, &pairs, &held_out, objective, config, work, observer).context(stopped)?
        }
        Loss::List(_) => {
            let lists = SiblingList::of_pairs(&pairs);
            train_siblings(model, &lists, &held_out, objective, config, work, observer).context(stopped)?
        }
    };
    if matches!(objective.loss(), Loss::Pair(_)) {
        summary.skipped.iter_mut().for_each(|skipped| skipped.row = rows[skipped.row]);
    }
    let mut all: Vec<SkippedRow> = skipped.into_iter().chain(summary.skipped).collect();
    all.sort_by_key(|skipped| skipped.row);
    summary.skipped = all;
    Ok(summary)
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
