//! The comparison stage: the same policy trained on the same pairs by each objective in turn.

use crate::config::{PreferConfig, RunConfig};
use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place};
use crate::stage::pair_data::{self, Preferences, Reading};
use crate::stage::policy_folder::{self, PolicyFolder};
use crate::stage::prefer::{objective, train};
use crate::stage::train::deciding;
use anyhow::{Context as _, Result, bail};
use espalier_files::{publish_bytes, publish_json, read_json, remove_folder, sweep};
use espalier_trainer::objectives::entry;
use espalier_trainer::{PreferencePair, Trainer, state_folder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Raised when equal settings and pairs give other numbers than before.
const RULES: u32 = 1;

/// What is compared, on which pairs.
#[derive(Clone, Copy, Debug)]
pub struct Compare<'a> {
    /// The policy that each training starts from, which is also the reference.
    pub policy: &'a Path,
    /// The pairs.
    pub pairs: &'a Path,
    /// More pairs that are only looked at.
    pub held_out: Option<&'a Path>,
    /// The objectives.
    pub losses: &'a [String],
    /// The folder to make: `table.md`, and the metrics of each objective.
    pub out: &'a Path,
}

/// `manifest.json` of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// Pairs trained on; of a list, those of its neighbours.
    pub pairs: usize,
    /// Pairs only looked at.
    pub held_out: usize,
    /// Rows that are no pairs.
    pub skipped: usize,
    /// One line an objective.
    pub lines: Vec<Line>,
}

/// Numbers of one objective, before the first step and after the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Name of the objective.
    pub loss: String,
    /// Mean training loss of the first and the last epoch.
    pub training: [f64; 2],
    /// Loss on the held-out pairs.
    pub held_out: [f64; 2],
    /// Share of the held-out pairs in which the policy finds the chosen step likelier.
    pub ranking: [f64; 2],
    /// Share of the held-out pairs whose chosen step has the higher implicit reward, after the last step.
    pub accuracy: f64,
}

/// Trains by every objective that is not done yet.
///
/// # Errors
/// Settings or pairs that allow no comparison; what a training fails with, the trainings before it being kept.
pub fn run(compare: &Compare, context: &Context) -> Result<Compared> {
    let config = context.config;
    if config.prefer.train.epochs < 2 {
        bail!("epochs is {}; a comparison of the first epoch with the last needs 2", config.prefer.train.epochs);
    }
    let mut identity = Identity::new("compare", RULES)
        .with("seed", config.seed)
        .with("losses", compare.losses)
        .setting("prefer", &deciding(&config.prefer)?, &deciding(&RunConfig::default().prefer)?)?
        .input("policy", policy_folder::fingerprint(compare.policy)?)
        .input("pairs", pair_data::fingerprint(compare.pairs)?);
    if let Some(path) = compare.held_out {
        identity = identity.input("held-out pairs", pair_data::fingerprint(path)?);
    }
    let work = match contract::begin(Place::folder(compare.out, is_own, &[]), identity, context)? {
        Begun::Done(compared) => return Ok(compared),
        Begun::Work(work) => work,
    };
    let policy = PolicyFolder::open(compare.policy)?;
    let (model, tokenizer) = policy.load(config)?;
    let reading = Reading::from(&config.prefer);
    let load = |path| pair_data::load(path, &model, &tokenizer, reading);
    let mut data = load(compare.pairs)?;
    let mut held_out = compare.held_out.map(load).transpose()?.map(Preferences::into_pairs).unwrap_or_default();
    held_out.extend(data.hold_out(config.prefer.held_out_fraction, config.seed));
    drop(model);
    if held_out.is_empty() {
        bail!("no pair is held out; give --held-out or --held-out-fraction");
    }
    let total = compare.losses.len() as u64;
    context.observer.began("compare", total);
    let mut lines = Vec::new();
    for (done, name) in compare.losses.iter().enumerate() {
        context.observer.advanced(done as u64, total, name);
        lines.push(one(name, &policy, &data, &held_out, &compare.out.join(name), config)?);
    }
    let compared = Compared { pairs: data.pairs(), held_out: held_out.len(), skipped: data.skipped().len(), lines };
    publish_bytes(&compare.out.join("table.md"), compared.table().as_bytes())?;
    let result = format!("{} objectives", compared.lines.len());
    work.finish(&compared, &result)?;
    context.observer.finished(&result);
    Ok(compared)
}

/// What the stage makes in its folder: the table, and a folder an objective.
fn is_own(name: &str) -> bool {
    name == "table.md" || entry(name).is_ok()
}

/// Trains by one objective, or takes what an earlier process found.
fn one(
    name: &str,
    policy: &PolicyFolder,
    data: &Preferences,
    held_out: &[PreferencePair],
    work: &Path,
    config: &RunConfig,
) -> Result<Line> {
    // What a killed process left here, where no stage of its own begins.
    sweep(work)?;
    let done = work.join("line.json");
    if done.exists() {
        remove_folder(&state_folder(work))?;
        return Ok(read_json(&done)?);
    }
    let settings = PreferConfig { loss: name.to_owned(), parameters: BTreeMap::new(), ..config.prefer.clone() };
    let (mut model, _) = policy.load(config)?;
    let trainer = Trainer { model: &mut model, config: &settings.train, folder: work, observer: &mut () };
    train(trainer, data, held_out, &objective(&settings)?).context(name.to_owned())?;
    let metrics = std::fs::read_to_string(work.join("metrics.jsonl")).context("cannot read the metrics")?;
    let metrics: Vec<Value> = metrics.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let column = |name: &str| -> Vec<f64> { metrics.iter().filter_map(|line| line[name].as_f64()).collect() };
    let ends = |name: &str| -> Result<[f64; 2]> {
        let column = column(name);
        column.first().zip(column.last()).map(|(&a, &b)| [a, b]).with_context(|| format!("no {name} was measured"))
    };
    let losses = column("loss");
    let epoch = (losses.len() / settings.train.epochs as usize).max(1);
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
    let line = Line {
        loss: name.to_owned(),
        training: [mean(&losses[..epoch.min(losses.len())]), mean(&losses[losses.len().saturating_sub(epoch)..])],
        held_out: ends("eval/loss")?,
        ranking: ends("eval/ranking/policy")?,
        accuracy: ends("eval/rewards/accuracies")?[1],
    };
    publish_json(&done, &line)?;
    remove_folder(&state_folder(work))?;
    Ok(line)
}

impl Compared {
    /// The lines as a Markdown table.
    pub fn table(&self) -> String {
        let Compared { pairs, held_out, lines, .. } = self;
        let mut table = format!(
            "{pairs} pairs, {held_out} held out\n\n| `--loss` | training loss, first and last epoch | held-out loss, before \
         and after | held-out ranking accuracy, before and after | held-out reward accuracy |\n|---|---|---|---|---|\n"
        );
        let percent = |share: f64| 100.0 * share;
        for line in lines {
            let Line { loss, training, held_out, ranking, accuracy } = line;
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| `{loss}` | {:.4} → {:.4} | {:.4} → {:.4} | {:.1} % → {:.1} % | {:.1} % |",
                training[0],
                training[1],
                held_out[0],
                held_out[1],
                percent(ranking[0]),
                percent(ranking[1]),
                percent(*accuracy)
            );
        }
        table
    }
}
