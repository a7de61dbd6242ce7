//! `step-train compare`: the same policy trained on the same pairs by each objective in turn.

use super::flags::{CommonFlags, PreferTrainFlags, number};
use super::{ConfigFile, configure};
use crate::contract::{self, Begun, Identity, Place};
use crate::exit::{Outcome, print_result};
use crate::run::config::{PreferConfig, RunConfig};
use crate::session::{OutputFlags, Session};
use crate::stage::pair_data::{self, Preferences, Reading};
use crate::stage::policy_folder::{self, PolicyFolder};
use crate::stage::prefer::{objective, train};
use crate::stage::shards::is_part;
use crate::stage::train::deciding;
use anyhow::{Context, Result, bail};
use clap::Args;
use espalier_files::{ensure_creatable, hash_path, publish_bytes, publish_json, read_json, remove_folder};
use espalier_trainer::objectives::{REGISTRY, entry};
use espalier_trainer::{PreferencePair, Trainer, state_folder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Flags of `step-train compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// The policy that each training starts from, which is also the reference
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Pairs, as `prefer` takes them
    #[arg(long, value_name = "PATH")]
    pairs: PathBuf,
    /// More pairs that are only looked at
    #[arg(long, value_name = "PATH")]
    held_out: Option<PathBuf>,
    /// Compare only these objectives, with commas between [default: all, with their default parameters]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    losses: Option<Vec<String>>,
    /// The folder to make: table.md, and the metrics of each objective
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct Flags {
    #[command(flatten)]
    #[serde(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    prefer: CompareFlags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct CompareFlags {
    /// Hold out this share of the pairs, whole trees or prompts of them
    #[arg(long, value_name = "SHARE", value_parser = number::<f64>)]
    held_out_fraction: Option<f64>,
    #[command(flatten)]
    train: PreferTrainFlags,
}

/// Raised when equal settings and pairs give other numbers than before.
const RULES: u32 = 1;

/// What the command makes in its folder: the table, and a folder an objective.
fn is_own(name: &str) -> bool {
    name == "table.md" || entry(name).is_ok()
}

/// One line of the table: numbers before the first step and after the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    loss: String,
    /// Mean training loss of the first and the last epoch.
    training: [f64; 2],
    /// Loss on the held-out pairs.
    held_out: [f64; 2],
    /// Share of the held-out pairs in which the policy finds the chosen step likelier.
    ranking: [f64; 2],
    /// Share of the held-out pairs whose chosen step has the higher implicit reward, after the last step.
    accuracy: f64,
}

/// Runs the command.
pub fn run(args: &CompareArgs) -> Result<Outcome> {
    let config = configure(&RunConfig::default(), &args.file, &args.flags)?;
    if config.prefer.train.epochs < 2 {
        bail!("epochs is {}; a comparison of the first epoch with the last needs 2", config.prefer.train.epochs);
    }
    let names: Vec<String> = match &args.losses {
        Some(names) => names.clone(),
        None => REGISTRY.iter().map(|entry| entry.about.name.to_owned()).collect(),
    };
    names.iter().try_for_each(|name| entry(name).map(drop))?;
    let policy = PolicyFolder::open(&args.policy)?;
    ensure_creatable(&args.out)?;
    let (model, tokenizer) = policy.load(&config)?;
    let reading = Reading { solution_q_scale: config.prefer.solution_q_scale, append_eos: config.prefer.append_eos };
    let load = |path: &Path| pair_data::load(path, &model, &tokenizer, reading);
    let mut data = load(&args.pairs)?;
    let mut held_out = args.held_out.as_deref().map(load).transpose()?.map(Preferences::into_pairs).unwrap_or_default();
    held_out.extend(data.hold_out(config.prefer.held_out_fraction, config.seed));
    drop(model);
    if held_out.is_empty() {
        bail!("no pair is held out; give --held-out or --held-out-fraction");
    }
    let mut identity = Identity::new("compare", RULES)
        .with("seed", config.seed)
        .with("losses", names.clone())
        .setting("prefer", &deciding(&config.prefer)?, &deciding(&RunConfig::default().prefer)?)?
        .input("policy", policy_folder::fingerprint(&args.policy)?)
        .input("pairs", hash_path(&args.pairs, is_part)?);
    if let Some(path) = &args.held_out {
        identity = identity.input("held-out pairs", hash_path(path, is_part)?);
    }
    let session = Session::new(args.output);
    let context = session.context(&config);
    let work = match contract::begin::<Vec<Line>>(Place::folder(&args.out, is_own, &[]), identity, &context)? {
        Begun::Done(lines) => {
            print_result(format_args!("{}", table(&lines, &data, held_out.len())));
            return Ok(Outcome::from_failed(data.skipped().len()));
        }
        Begun::Work(work) => work,
    };
    let total = names.len() as u64;
    context.observer.began("compare", total);
    let mut lines = Vec::new();
    for (done, name) in names.iter().enumerate() {
        context.observer.advanced(done as u64, total, name);
        lines.push(one(name, &policy, &data, &held_out, &args.out.join(name), &config)?);
    }
    let table = table(&lines, &data, held_out.len());
    publish_bytes(&args.out.join("table.md"), table.as_bytes())?;
    let result = format!("{} objectives", lines.len());
    work.finish(&lines, &result)?;
    context.observer.finished(&result);
    print_result(format_args!("{table}"));
    Ok(Outcome::from_failed(data.skipped().len()))
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
    let done = work.join("line.json");
    if done.exists() {
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

fn table(lines: &[Line], data: &Preferences, held_out: usize) -> String {
    let given = match data {
        Preferences::Pairs(_) => format!("{} pairs, {held_out} held out", data.count()),
        Preferences::Lists(_) => format!("{} lists, {held_out} pairs held out", data.count()),
    };
    let mut table = format!(
        "{given}\n\n| `--loss` | training loss, first and last epoch | held-out loss, before \
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
