//! The pairs stage: stored trees in, step pairs out, without searching again.

use crate::run::config::RunConfig;
use crate::stage::contract::{MANIFEST, manifest};
use anyhow::{Context, Result, bail};
use espalier_files::{ensure_writable, fingerprint, publish_json};
use espalier_tree::{Kind, PairInfo, StepPair, arrange_pairs, policy_hash, read_trees, select_pairs, write_pairs};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `pairs/manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairsManifest {
    rules: String,
    /// Trees read.
    pub trees: u64,
    /// Trees that gave at least one pair.
    pub trees_with_pairs: u64,
    /// Pairs of plan steps.
    pub plan: u64,
    /// Pairs of solution steps.
    pub step: u64,
    /// Pairs of solutions.
    pub solution: u64,
    /// Pairs by Q(chosen) - Q(rejected): ten bins of width 0.2 over (0, 2].
    pub margins: [u64; 10],
    /// Pairs by the depth of the two steps.
    pub depths: Vec<u64>,
}

impl PairsManifest {
    /// All pairs.
    pub fn pairs(&self) -> u64 {
        self.plan + self.step + self.solution
    }

    fn count(&mut self, pair: &StepPair) {
        match pair.kind {
            Kind::Plan => self.plan += 1,
            Kind::Step => self.step += 1,
            Kind::Solution | Kind::Root => self.solution += 1,
        }
        let margin = f64::from(pair.q_chosen - pair.q_rejected);
        let bin = ((margin / 0.2).ceil() as usize).clamp(1, 10) - 1;
        self.margins[bin] += 1;
        let depth = usize::from(pair.depth);
        if self.depths.len() <= depth {
            self.depths.resize(depth + 1, 0);
        }
        self.depths[depth] += 1;
    }
}

/// Selects the pairs of all trees in a folder and publishes them as one Parquet file.
pub fn run(trees: &Path, out: &Path, config: &RunConfig) -> Result<PairsManifest> {
    let rules = fingerprint(&config.pairs)?;
    if let Some(done) = manifest::<PairsManifest>(out)? {
        if done.rules != rules {
            bail!("{} holds pairs of other rules; choose another --out or remove it", out.display());
        }
        return Ok(done);
    }
    let mut manifest = PairsManifest {
        rules,
        trees: 0,
        trees_with_pairs: 0,
        plan: 0,
        step: 0,
        solution: 0,
        margins: [0; 10],
        depths: Vec::new(),
    };
    let mut pairs = Vec::new();
    for tree in read_trees(trees).with_context(|| format!("cannot read trees in {}", trees.display()))? {
        let found = select_pairs(&tree?, &config.pairs);
        manifest.trees += 1;
        manifest.trees_with_pairs += u64::from(!found.is_empty());
        pairs.extend(found);
    }
    let pairs = arrange_pairs(pairs, &config.pairs);
    pairs.iter().for_each(|pair| manifest.count(pair));
    ensure_writable(out)?;
    let info = PairInfo {
        rules: toml::to_string(&config.pairs).context("cannot encode the pair rules")?,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        policy_hash: policy_hash(trees).with_context(|| format!("cannot read trees in {}", trees.display()))?,
    };
    let path = out.join("part-00000.parquet");
    write_pairs(&path, &pairs, &info).with_context(|| format!("cannot write {}", path.display()))?;
    publish_json(&out.join(MANIFEST), &manifest)?;
    Ok(manifest)
}
