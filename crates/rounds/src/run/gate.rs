//! The gate between rounds: a policy that is worse than the round's first is not published.
//!
//! ```text
//!  trained ── not worse ──► published
//!     │ worse
//!     ▼
//!  mean of both weights ── not worse ──► published
//!     │ worse
//!     ▼
//!  the first, as it was
//! ```
//! Each is looked at on the validation problems, which nothing is trained on and no report names. (Who looks at a policy and
//! keeps the better one has chosen by these problems: their accuracy is no estimate any more.)

use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place, Record};
use crate::run::problems::ProblemSets;
use crate::stage::eval::{self, Group};
use crate::stage::extrapolate;
use crate::stage::policy_folder;
use crate::stage::policy_source::PolicySource;
use crate::stage::train::work_folder;
use anyhow::Result;
use espalier_eval::{ProblemSamples, compare};
use espalier_files::{Existing, copy_files, fingerprint, publish_folder, publish_json, remove_folder};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Raised when equal policies, problems and settings are decided otherwise than before.
const RULES: u32 = 1;

/// What the gate saw, and did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GateManifest {
    /// Validation problems that the round's first policy answers right.
    pub before: usize,
    /// Validation problems.
    pub problems: usize,
    /// The policies that were looked at, in order; the last one was published unless it is worse.
    pub looks: Vec<Look>,
    /// Seconds of all processes that worked on it.
    pub wall_s: f64,
}

/// One policy that the gate looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Look {
    /// `trained` or `mixed`.
    pub policy: String,
    /// Validation problems that it answers right.
    pub correct: usize,
    /// McNemar's exact p of the difference.
    pub p: f64,
    /// Whether it counts as worse.
    pub worse: bool,
}

impl GateManifest {
    /// What was published: `trained`, `mixed`, or the policy as it was `before`.
    pub fn published(&self) -> &str {
        self.looks.iter().find(|look| !look.worse).map_or("before", |look| &look.policy)
    }

    fn in_a_line(&self) -> String {
        let looks = self.looks.iter().map(|look| format!("{} {} (p {:.2})", look.policy, look.correct, look.p));
        let looks: Vec<String> = looks.collect();
        format!("of {} before {}, {}: {}", self.problems, self.before, looks.join(", "), self.published())
    }
}

/// Looks at `trained` beside `before`, the policy that the round began with, and publishes at `out` what is not worse. What
/// was answered, and the manifest, lie in the folder `work`.
pub(super) fn run(
    trained: &Path,
    before: &Path,
    sets: &ProblemSets,
    out: &Path,
    work: &Path,
    round: u32,
    context: &Context,
) -> Result<GateManifest> {
    let level = context.config.round.gate;
    let identity = Identity::new("gate", RULES)
        .with("round.gate", level)
        .with("seed", context.config.seed)
        .setting("eval", &context.config.eval, &crate::config::RunConfig::default().eval)?
        .input("policy", policy_folder::fingerprint(trained)?)
        .input("policy before", policy_folder::fingerprint(before)?)
        .input("problems", fingerprint(&sets.validation)?);
    let stage = match contract::begin(Place::policy(out, work, &[]), identity, context)? {
        Begun::Done(done) => return Ok(done),
        Begun::Work(work) => work,
    };
    let look = |policy: &Path, name: &str| -> Result<Vec<ProblemSamples>> {
        let group = Group { name: "validation".to_owned(), problems: &sets.validation };
        let report = work.join(format!("{name}.json"));
        let title = format!("round {round}: gate, {name}");
        eval::run(&[group], &PolicySource::of_run(policy, context.config)?, None, &report, &title, context)?;
        Ok(eval::read(&report)?.1)
    };
    let first = look(before, "before")?;
    let mixed = work.join("mixed");
    let mut manifest = GateManifest { before: 0, problems: 0, looks: Vec::new(), wall_s: 0.0 };
    let mut published = before;
    for (name, policy) in [("trained", trained), ("mixed", &*mixed)] {
        if name == "mixed" {
            extrapolate::run(trained, before, -0.5, &mixed, context)?;
        }
        let compared = compare(&first, &look(policy, name)?, context.config.seed)?;
        let all = &compared.all;
        manifest.problems = all.first.problems;
        manifest.before = all.first.correct;
        let worse = all.only_second < all.only_first && all.p <= level;
        let correct = all.second.correct;
        manifest.looks.push(Look { policy: name.to_owned(), correct, p: all.p, worse });
        if !worse {
            published = policy;
            break;
        }
    }
    copy(published, out, stage.record())?;
    manifest.wall_s = stage.wall_s();
    let line = manifest.in_a_line();
    stage.finish(&manifest, &line)?;
    context.observer.noticed(&format!("gate: {line}"));
    Ok(manifest)
}

/// A policy's folder again, as this stage's.
fn copy(policy: &Path, out: &Path, record: &Record) -> Result<()> {
    publish_folder(out, Existing::Replaced, |folder| {
        copy_files(policy, folder)?;
        Ok(publish_json(&folder.join(contract::RECORD), record)?)
    })
}

/// Removes the mean of two policies, if one was made.
pub(super) fn tidy(work: &Path) -> Result<()> {
    let mixed = work.join("mixed");
    remove_folder(&work_folder(&mixed))?;
    Ok(remove_folder(&mixed)?)
}
