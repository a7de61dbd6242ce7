//! What a round came to.

use crate::run::gate::GateManifest;
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
    /// The search by the policy between two stages, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched_again: Option<SearchManifest>,
    /// What the gate decided, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateManifest>,
    /// The training stages by name, in order of the alphabet.
    pub training: BTreeMap<String, TrainManifest>,
    /// The new policy's score.
    pub eval: EvalReport,
}

impl RoundManifest {
    /// A round of which nothing is known yet.
    pub(super) fn new(round: u32) -> RoundManifest {
        let (search, pairs, searched_again, gate) = (None, None, None, None);
        let (training, eval) = (BTreeMap::new(), EvalReport::default());
        RoundManifest { round, search, pairs, searched_again, gate, training, eval }
    }

    /// The searches, in order.
    pub fn searches(&self) -> impl Iterator<Item = &SearchManifest> {
        self.search.iter().chain(&self.searched_again)
    }

    /// Tokens sampled into trees.
    pub fn sampled_tokens(&self) -> u64 {
        self.searches().map(|search| search.tree_tokens).sum()
    }

    /// Tokens trained on.
    pub fn trained_tokens(&self) -> u64 {
        self.training.values().map(|stage| stage.summary.tokens).sum()
    }

    /// Tokens sampled into trees and tokens trained on.
    pub fn tokens(&self) -> u64 {
        self.sampled_tokens() + self.trained_tokens()
    }

    /// Seconds of all stages.
    pub fn wall_s(&self) -> f64 {
        self.training.values().map(|stage| stage.wall_s).sum::<f64>()
            + self.searches().map(|search| search.wall_s).sum::<f64>()
            + self.gate.as_ref().map_or(0.0, |gate| gate.wall_s)
            + self.eval.wall_s
    }

    /// Problems that were skipped.
    pub fn failed(&self) -> usize {
        self.searches().map(|search| search.skipped.len()).sum()
    }
}
