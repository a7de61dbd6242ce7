//! Preferences from files: pairs and ranked lists of `mcts-gen`, with their tokens, or any table of texts as TRL reads it.

mod files;
mod texts;

pub use files::fingerprint;

use crate::config::{Credit, PreferConfig};
use anyhow::{Context, Result, bail};
use espalier_files::{seed_from, unit_interval};
use espalier_model::Transformer;
use espalier_tokenizer::Tokenizer;
use espalier_trainer::{Order, PreferencePair, SiblingList};
use espalier_tree::{Curriculum, Kind, Loaded, PairRules, RankedList, StepPair, UnusedRow};
use espalier_tree::{load_pairs, load_ranked_lists, pair_rules, policy_hash};
use std::path::Path;

/// What a file of preferences holds.
#[derive(Clone, Debug)]
pub enum Preferences {
    /// Pairs of steps, and the order that their selection meant for them.
    Pairs(Loaded<PreferencePair>, Order),
    /// Lists of siblings, best first.
    Lists(Loaded<SiblingList>),
}

/// How texts and Q are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Factor on the Q of solutions.
    pub solution_q_scale: f32,
    /// Whether texts that do not end in the end-of-text token get one.
    pub append_eos: bool,
    /// Which tokens of the steps count.
    pub credit: Credit,
}

impl From<&PreferConfig> for Reading {
    fn from(config: &PreferConfig) -> Reading {
        let PreferConfig { solution_q_scale, append_eos, credit, .. } = *config;
        Reading { solution_q_scale, append_eos, credit }
    }
}

/// Reads a folder of `mcts-gen`, its ranked lists, or texts: a Parquet file, JSON Lines or an array, or a folder of such. The
/// log-probabilities of stored pairs become the pairs' reference if `model`, from which training starts, is the policy
/// that sampled them. Rows are counted through all files.
pub fn load(path: &Path, model: &Transformer, tokenizer: &Tokenizer, reading: Reading) -> Result<Preferences> {
    let mut all: Option<Preferences> = None;
    for source in files::sources(path)? {
        let next = load_source(&source, model, tokenizer, reading);
        let next = next.with_context(|| format!("cannot read pairs in {}", source.display()))?;
        match &mut all {
            Some(all) => all.append(next).with_context(|| format!("in {}", source.display()))?,
            None => all = Some(next),
        }
    }
    let all = all.with_context(|| format!("{} has no file", path.display()))?;
    Ok(if reading.credit == Credit::Decision { all.decided() } else { all })
}

/// Reads what is stored as one.
fn load_source(path: &Path, model: &Transformer, tokenizer: &Tokenizer, reading: Reading) -> Result<Preferences> {
    let texts = |rows| Preferences::Pairs(texts::encode_all(rows, tokenizer, reading), Order::Shuffled);
    if files::is_json(path) {
        if texts::first_row_has(path, "response_ids")? {
            let lists = load_ranked_lists(path)?;
            return Ok(Preferences::Lists(lists.map(|list| siblings(list, reading))));
        }
        return Ok(texts(texts::json_rows(path)?));
    }
    if path.is_file() && !texts::has_tokens(path)? {
        return Ok(texts(texts::parquet_rows(path)?));
    }
    let known = policy_hash(path)?.is_some_and(|hash| hash == model.hash());
    let pairs = load_pairs(path)?.map(|pair| stored_pair(pair, known, reading));
    Ok(Preferences::Pairs(pairs, arranged(pair_rules(path)?.as_deref())))
}

/// The order of pairs with these stored rules: as given, if a curriculum arranged them. Pairs with rules that this version
/// cannot read count as not arranged.
fn arranged(rules: Option<&str>) -> Order {
    let curriculum = rules.and_then(|rules| toml::from_str::<PairRules>(rules).ok()).map(|rules| rules.curriculum);
    if curriculum.is_some_and(|curriculum| curriculum != Curriculum::None) { Order::AsGiven } else { Order::Shuffled }
}

impl Preferences {
    /// The order in which they are trained on unless the configuration says otherwise.
    pub fn order(&self) -> Order {
        match self {
            Preferences::Pairs(_, order) => *order,
            Preferences::Lists(_) => Order::Shuffled,
        }
    }

    /// What is about decisions alone.
    fn decided(self) -> Preferences {
        match self {
            Preferences::Pairs(pairs, order) => Preferences::Pairs(pairs.map(PreferencePair::decided), order),
            Preferences::Lists(lists) => Preferences::Lists(lists.map(SiblingList::decided)),
        }
    }

    /// Adds those of another file, whose rows follow.
    fn append(&mut self, other: Preferences) -> Result<()> {
        match (self, other) {
            (Preferences::Pairs(pairs, order), Preferences::Pairs(more, of_more)) if *order == of_more => {
                pairs.append(more);
            }
            (Preferences::Lists(lists), Preferences::Lists(more)) => lists.append(more),
            _ => bail!("the preferences are of another kind than those of the files before"),
        }
        Ok(())
    }

    /// The number of pairs; of a list, those of its neighbours.
    pub fn pairs(&self) -> usize {
        match self {
            Preferences::Pairs(pairs, _) => pairs.examples.len(),
            Preferences::Lists(lists) => lists.examples.iter().map(|list| list.neighbours().len()).sum(),
        }
    }

    /// The number of pairs, or of lists.
    pub fn count(&self) -> usize {
        match self {
            Preferences::Pairs(pairs, _) => pairs.examples.len(),
            Preferences::Lists(lists) => lists.examples.len(),
        }
    }

    /// The rows that are neither.
    pub fn skipped(&self) -> &[UnusedRow] {
        match self {
            Preferences::Pairs(pairs, _) => &pairs.skipped,
            Preferences::Lists(lists) => &lists.skipped,
        }
    }

    /// All pairs; of a list, those of its neighbours.
    pub fn into_pairs(self) -> Vec<PreferencePair> {
        match self {
            Preferences::Pairs(pairs, _) => pairs.examples,
            Preferences::Lists(lists) => lists.examples.iter().flat_map(SiblingList::neighbours).collect(),
        }
    }

    /// Takes out about `fraction` of the examples, all of a tree, or of a prompt, or none, as pairs.
    pub fn hold_out(&mut self, fraction: f64, seed: u64) -> Vec<PreferencePair> {
        let goes = |family: &str| unit_interval(seed_from(&[&"held out", &seed, &family])) < fraction;
        match self {
            Preferences::Pairs(pairs, _) => pairs.take_families(goes),
            Preferences::Lists(lists) => lists.take_families(goes).iter().flat_map(SiblingList::neighbours).collect(),
        }
    }
}

impl Reading {
    /// Factor on the Q of steps of this kind.
    fn q_scale(self, kind: Kind) -> f32 {
        if kind == Kind::Solution { self.solution_q_scale } else { 1.0 }
    }
}

fn stored_pair(pair: StepPair, known: bool, reading: Reading) -> PreferencePair {
    PreferencePair {
        q_scale: reading.q_scale(pair.kind),
        reference: known.then(|| pair.step_logprobs()),
        prompt_ids: pair.prompt_ids,
        chosen_ids: pair.chosen_ids,
        rejected_ids: pair.rejected_ids,
        q_chosen: pair.q_chosen,
        q_rejected: pair.q_rejected,
        visits_chosen: pair.visits_chosen,
        visits_rejected: pair.visits_rejected,
        weight: pair.weight,
    }
}

fn siblings(list: RankedList, reading: Reading) -> SiblingList {
    SiblingList {
        prompt_ids: list.prompt_ids,
        steps: list.response_ids,
        q: list.q,
        visits: list.visits,
        weight: 1.0,
        q_scale: reading.q_scale(list.kind),
    }
}
