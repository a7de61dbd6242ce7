//! What a round came to.

use crate::stage::eval::EvalReport;
use crate::stage::pairs::PairsManifest;
use crate::stage::search::SearchManifest;
use crate::stage::train::TrainManifest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
