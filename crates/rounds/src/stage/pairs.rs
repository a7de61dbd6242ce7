//! The pairs stage: stored trees in, step pairs out, without searching again.

use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place};
use crate::stage::shards::is_part;
use anyhow::{Context as _, Result};
use espalier_files::hash_path;
use espalier_search::EndingCounts;
use espalier_tree::{
    Kind, Node, PairInfo, PairRules, StepPair, Tree, arrange_pairs, policy_hash, read_trees, select_pairs, write_pairs,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Raised when equal rules and trees give other pairs than before.
const RULES: u32 = 1;

/// `pairs/manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairsManifest {
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
    /// Where there is no pair: why not, and what to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_none: Option<String>,
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
pub fn run(trees: &Path, out: &Path, context: &Context) -> Result<PairsManifest> {
    let rules = &context.config.pairs;
    let identity = Identity::new("pairs", RULES)
        .setting("pairs", rules, &PairRules::default())?
        .input("trees", hash_path(trees, is_part)?);
    let work = match contract::begin(Place::folder(out, is_part, &[]), identity, context)? {
        Begun::Done(done) => return Ok(done),
        Begun::Work(work) => work,
    };
    let mut manifest = PairsManifest {
        trees: 0,
        trees_with_pairs: 0,
        plan: 0,
        step: 0,
        solution: 0,
        margins: [0; 10],
        depths: Vec::new(),
        why_none: None,
    };
    let (mut pairs, mut seen) = (Vec::new(), Seen::default());
    for tree in read_trees(trees).with_context(|| format!("cannot read trees in {}", trees.display()))? {
        let tree = tree?;
        seen.add(&tree);
        let found = select_pairs(&tree, rules);
        manifest.trees += 1;
        manifest.trees_with_pairs += u64::from(!found.is_empty());
        pairs.extend(found);
    }
    let pairs = arrange_pairs(pairs, rules);
    pairs.iter().for_each(|pair| manifest.count(pair));
    if pairs.is_empty() {
        manifest.why_none = Some(seen.why_none(rules));
    }
    let info = PairInfo {
        rules: toml::to_string(rules).context("cannot encode the pair rules")?,
        program_version: context.program.version.clone(),
        policy_hash: policy_hash(trees).with_context(|| format!("cannot read trees in {}", trees.display()))?,
    };
    let path = out.join("part-00000.parquet");
    write_pairs(&path, &pairs, &info).with_context(|| format!("cannot write {}", path.display()))?;
    work.finish(&manifest, &format!("{} pairs from {} trees", manifest.pairs(), manifest.trees))?;
    if let Some(reason) = &manifest.why_none {
        context.observer.noticed(&format!("no pairs: {reason}"));
    }
    Ok(manifest)
}

/// What trees have from which pairs could come.
#[derive(Default)]
struct Seen {
    trees: u64,
    endings: EndingCounts,
    /// The largest difference of Q between two siblings that were visited.
    widest: f64,
    /// States below which steps lie on both sides of 0.
    divided: u64,
}

impl Seen {
    fn add(&mut self, tree: &Tree) {
        self.trees += 1;
        for id in tree.ids() {
            let node = tree.node(id);
            self.endings.count(node.ending);
            let q = node.children().map(|child| tree.node(child)).filter(|child| child.visits > 0).map(Node::q);
            let (low, high) = q.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), q| (low.min(q), high.max(q)));
            self.widest = self.widest.max(high - low);
            self.divided += u64::from(low < 0.0 && high > 0.0);
        }
    }

    fn why_none(&self, rules: &PairRules) -> String {
        let EndingCounts { correct, wrong, malformed, too_deep, length, unverified, .. } = self.endings;
        let failed = wrong + malformed + too_deep + length;
        match (self.trees, correct, failed) {
            (0, ..) => "there is no tree; see why its problems were skipped".to_owned(),
            (_, 0, 0) => format!(
                "no path has a reward, since {unverified} solutions are unverified and none is judged; give problems with \
                 answers, or a judge that needs none"
            ),
            (_, 0, _) => format!(
                "no solution is correct, so that nothing can be preferred ({malformed} steps are malformed, {length} cut by \
                 the limit on tokens, {wrong} solutions wrong); see what mcts-gen search says of it, or look with mcts-gen \
                 task try"
            ),
            (_, _, 0) => {
                "every path is correct, so that nothing can be rejected; take harder problems, or sample more \
                          steps (--k) at a higher --temperature"
                    .to_owned()
            }
            _ => format!(
                "the rule {} finds none among siblings (largest difference of Q {:.3}, min_margin {}, min_visits {}; below {} \
                 states Q has both signs); take another --rule, such as best_worst or all, lower these, or search more",
                rules.rule, self.widest, rules.min_margin, rules.min_visits, self.divided
            ),
        }
    }
}
