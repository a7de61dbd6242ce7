//! `step-train init`: a run's folder, with its problems and the policy it starts from.

use super::flags::CommonFlags;
use super::{ConfigFile, configure, store_config};
use crate::exit::Outcome;
use crate::run::config::RunConfig;
use crate::run::problems::ProblemSets;
use crate::stage::policy_folder::{self, PolicyFolder, Prompting, Published};
use anyhow::{Context, Result, bail};
use clap::Args;
use espalier_files::{Existing, publish_folder};
use espalier_model::{ModelConfig, Transformer};
use espalier_task::{Format, Granularity, load_problems};
use espalier_tokenizer::Tokenizer;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Flags of `step-train init`.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// The run's folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Start from this policy instead of a small fresh one
    #[arg(long, value_name = "DIR", requires = "problems", requires = "held_out")]
    policy: Option<PathBuf>,
    /// With --policy: the problems to search
    #[arg(long, value_name = "FILE", requires = "policy")]
    problems: Option<PathBuf>,
    /// With --policy: the problems to evaluate on
    #[arg(long, value_name = "FILE", requires = "policy")]
    held_out: Option<PathBuf>,
    /// With --policy: further problems to evaluate on, unlike the searched ones
    #[arg(long, value_name = "FILE", requires = "policy")]
    out_of_domain: Option<PathBuf>,
    /// With --policy: problems with worked solutions for round 0
    #[arg(long, value_name = "FILE", requires = "policy")]
    warm_start: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct Flags {
    /// Name of the run, in every row it writes [default: the folder's name]
    #[arg(long)]
    name: Option<String>,
    /// CPL rounds after the warm start [default: 2]
    #[arg(long)]
    rounds: Option<u32>,
    #[command(flatten)]
    #[serde(flatten)]
    common: CommonFlags,
}

/// Runs the command.
pub fn run(args: &InitArgs) -> Result<Outcome> {
    let mut flags = args.flags.clone();
    if flags.name.is_none() {
        flags.name = args.out.file_name().map(|name| name.to_string_lossy().into_owned());
    }
    let defaults = if args.policy.is_some() { RunConfig::default() } else { RunConfig::small()? };
    let config = configure(&defaults, &args.file, &flags)?;
    if args.out.join("config.toml").exists() {
        return continue_existing(&args.out, &config);
    }
    let Some(policy) = &args.policy else {
        init_generated(&args.out, &config)?;
        return Ok(Outcome::Clean);
    };
    let load = |path: &Option<PathBuf>| match path {
        Some(path) => load_problems(path, None),
        None => Ok(Vec::new()),
    };
    let sets = ProblemSets {
        warm_start: load(&args.warm_start)?,
        search: load(&args.problems)?,
        held_out: load(&args.held_out)?,
        out_of_domain: load(&args.out_of_domain)?,
    };
    publish(&args.out, &sets, &config, |folder| copy_policy(policy, folder, &config))?;
    Ok(Outcome::Clean)
}

/// Makes a run of generated problems and a fresh policy.
pub fn init_generated(out: &Path, config: &RunConfig) -> Result<()> {
    let sets = ProblemSets::generated(config)?;
    publish(out, &sets, config, |folder| fresh_policy(folder, &sets, config))
}

fn publish(out: &Path, sets: &ProblemSets, config: &RunConfig, policy: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    publish_folder(out, Existing::Refused, |folder| {
        sets.write(&folder.join("problems"))?;
        policy(&folder.join("policy-000"))?;
        store_config(folder, config)
    })?;
    eprintln!(
        "{:<24} {} problems to search, {} held out, {} out of domain, {} worked",
        "init",
        sets.search.len(),
        sets.held_out.len(),
        sets.out_of_domain.len(),
        sets.warm_start.len()
    );
    Ok(())
}

/// A run that is there already is fine when it is the same run.
fn continue_existing(out: &Path, config: &RunConfig) -> Result<Outcome> {
    let text = fs::read_to_string(out.join("config.toml"))?;
    let found: RunConfig = toml::from_str(&text).with_context(|| format!("{} holds no run", out.display()))?;
    if found.without_runtime() != config.without_runtime() {
        bail!("{} holds a run of another configuration; choose another --out or remove it", out.display());
    }
    eprintln!("{:<24} {} is there already", "init", out.display());
    Ok(Outcome::Clean)
}

/// A fresh policy, its tokenizer trained on the worked problems.
fn fresh_policy(out: &Path, sets: &ProblemSets, config: &RunConfig) -> Result<()> {
    let (format, granularity) = (config.format.unwrap_or(Format::Xml), config.granularity.unwrap_or(Granularity::Plan));
    let texts = sets.warm_start.iter().map(|problem| {
        let steps = problem.solution.iter().flat_map(|worked| format.segments(granularity, worked));
        format.prompt(granularity, &problem.question) + &steps.collect::<String>()
    });
    let tokenizer = Tokenizer::train_bpe(texts, config.model.vocab_size, format.tags())?;
    let shape = &config.model;
    let model = ModelConfig::llama(
        tokenizer.vocab_size(),
        shape.hidden_size,
        shape.intermediate_size,
        shape.layers,
        shape.heads,
        shape.kv_heads,
        shape.context,
    )?;
    let model = Transformer::init(&model, config.seed, tch::Device::Cpu)?;
    let prompting = Some(Prompting { format, granularity });
    policy_folder::save(out, Existing::Refused, &model, &tokenizer, &Published { prompting, ..Published::default() })
}

/// Another program's policy, with its own tokenizer files as they are.
fn copy_policy(source: &Path, out: &Path, config: &RunConfig) -> Result<()> {
    // Loading proves that the folder is whole before anything depends on it.
    PolicyFolder::open(source)?.load(config)?;
    fs::create_dir(out)?;
    for entry in fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            continue;
        }
        let target = out.join(entry.file_name());
        // A hard link would change with its source when another program writes into the same file.
        fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
    }
    Ok(())
}
