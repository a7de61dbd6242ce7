//! Preference pairs from files: those of `mcts-gen`, with their tokens, or any table of texts as TRL reads it.

mod lists;
mod texts;

use anyhow::{Context, Result};
use espalier_tokenizer::Tokenizer;
use espalier_trainer::{PreferencePair, SkippedRow};
use espalier_tree::{Curriculum, Kind, PairRules, StepPair, pair_rules, policy_hash, read_pairs};
use std::path::Path;

/// A pair that can be given to the trainer.
#[derive(Clone, Debug)]
pub struct LoadedPair {
    /// Its row in the file, counted from 0.
    pub row: usize,
    /// What pairs of one tree, or of one prompt, have in common.
    pub family: String,
    /// The pair; its `reference` is what the sampling policy says.
    pub pair: PreferencePair,
}

/// What a file of pairs holds.
#[derive(Clone, Debug, Default)]
pub struct PairData {
    /// The pairs that were understood.
    pub pairs: Vec<LoadedPair>,
    /// The rows that were not.
    pub skipped: Vec<SkippedRow>,
    /// Hash of the policy that sampled them, whose log-probabilities the pairs hold.
    pub policy_hash: Option<String>,
    /// Whether a curriculum put the pairs in their order.
    pub is_arranged: bool,
}

/// How texts and Q are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Factor on the Q of solution pairs.
    pub solution_q_scale: f32,
    /// Whether texts that do not end in the end-of-text token get one.
    pub append_eos: bool,
}

/// Reads a folder of `mcts-gen`, its ranked lists, a Parquet file, or JSON Lines.
pub fn load(path: &Path, tokenizer: &Tokenizer, reading: Reading) -> Result<PairData> {
    let problem = || format!("cannot read pairs in {}", path.display());
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if path.is_file() && matches!(extension, "jsonl" | "json" | "ndjson") {
        let rows = texts::json_rows(path).with_context(problem)?;
        return Ok(match rows.first() {
            Some(row) if lists::is_list(row) => lists::pairs_of(rows, reading),
            _ => texts::encode_all(rows, tokenizer, reading),
        });
    }
    if path.is_file() && !texts::has_tokens(path).with_context(problem)? {
        return Ok(texts::encode_all(texts::parquet_rows(path).with_context(problem)?, tokenizer, reading));
    }
    let stored = read_pairs(path).with_context(problem)?;
    let pairs = stored.into_iter().enumerate().map(|(row, pair)| stored_pair(row, pair, reading)).collect();
    let rules = pair_rules(path).with_context(problem)?;
    Ok(PairData {
        pairs,
        skipped: Vec::new(),
        policy_hash: policy_hash(path).with_context(problem)?,
        is_arranged: rules.is_some_and(|rules| has_curriculum(&rules)),
    })
}

/// Whether stored rules arrange the pairs. Pairs with rules that this version cannot read count as not arranged.
fn has_curriculum(rules: &str) -> bool {
    toml::from_str::<PairRules>(rules).is_ok_and(|rules| rules.curriculum != Curriculum::None)
}

impl Reading {
    /// Factor on the Q of steps of this kind.
    fn q_scale(self, kind: Kind) -> f32 {
        if kind == Kind::Solution { self.solution_q_scale } else { 1.0 }
    }
}

fn stored_pair(row: usize, pair: StepPair, reading: Reading) -> LoadedPair {
    let logprob = |tokens: &[f32]| tokens.iter().map(|&logprob| f64::from(logprob)).sum::<f64>() as f32;
    LoadedPair {
        row,
        family: pair.problem_id,
        pair: PreferencePair {
            q_scale: reading.q_scale(pair.kind),
            reference: Some([logprob(&pair.chosen_logprobs), logprob(&pair.rejected_logprobs)]),
            prompt_ids: pair.prompt_ids,
            chosen_ids: pair.chosen_ids,
            rejected_ids: pair.rejected_ids,
            q_chosen: pair.q_chosen,
            q_rejected: pair.q_rejected,
            visits_chosen: pair.visits_chosen,
            visits_rejected: pair.visits_rejected,
            weight: pair.weight,
        },
    }
}
