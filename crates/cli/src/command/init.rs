//! `step-train init`: a run's folder, with its problems and the policy it starts from.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, RUNTIME};
use super::problems::load;
use crate::exit::Outcome;
use crate::session::{OutputFlags, Session};
use crate::shown::say;
use anyhow::Result;
use clap::{ArgMatches, Args};
use espalier_rounds::config::RunConfig;
use espalier_rounds::run::init;
use espalier_rounds::run::problems::ProblemSets;
use espalier_rounds::stage::policy_folder::PolicyFolder;
use std::path::PathBuf;

/// Flags of `step-train init`.
#[derive(Args)]
pub struct InitArgs {
    /// The run's folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Start from this policy instead of a small fresh one, and from the paper's settings instead of the embedded run's
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
    /// With --policy: further problems to evaluate on, which the gate between rounds looks at and no report
    #[arg(long, value_name = "FILE", requires = "policy")]
    validation: Option<PathBuf>,
    /// With --policy: problems with worked solutions for round 0
    #[arg(long, value_name = "FILE", requires = "policy")]
    warm_start: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs<InitArgs>,
}

impl Keys for InitArgs {
    const FLAGS: &'static [Group] = &[group("", &[flag("name"), flag("rounds")]), COMMON, RUNTIME];

    /// The run is named as its folder, which is not known yet.
    fn defaults() -> Option<RunConfig> {
        Some(RunConfig { name: String::new(), ..RunConfig::small() })
    }

    fn base(given: &ArgMatches) -> Result<RunConfig> {
        Ok(base(given.get_one::<PathBuf>("policy").is_some(), given.get_one::<PathBuf>("out")))
    }
}

/// The paper's configuration for another program's policy, else the embedded run's; the run is named as its folder.
fn base(has_policy: bool, out: Option<&PathBuf>) -> RunConfig {
    let base = if has_policy { RunConfig::default() } else { RunConfig::small() };
    let name = out.and_then(|out| out.file_name()).map(|name| name.to_string_lossy().into_owned());
    RunConfig { name: name.unwrap_or(base.name), ..base }
}

/// Runs the command.
pub fn run(args: &InitArgs) -> Result<Outcome> {
    let config = args.config.over(&base(args.policy.is_some(), Some(&args.out)))?;
    if args.out.join("config.toml").exists() {
        init::is_there(&args.out, &config)?;
        say(format_args!("{:<24} {} is there already", "init", args.out.display()));
        return Ok(Outcome::Clean);
    }
    let session = Session::new(OutputFlags { overwrite: false });
    let context = session.context(&config);
    let Some(policy) = &args.policy else {
        init::generated(&args.out, &context)?;
        return Ok(Outcome::Clean);
    };
    let task = config.task_of_start(PolicyFolder::open(policy)?.prompting())?;
    let load = |path: &Option<PathBuf>| match path {
        Some(path) => load(path, None, &task, false),
        None => Ok(Vec::new()),
    };
    let sets = ProblemSets {
        warm_start: load(&args.warm_start)?,
        search: load(&args.problems)?,
        held_out: load(&args.held_out)?,
        out_of_domain: load(&args.out_of_domain)?,
        validation: load(&args.validation)?,
    };
    init::from_policy(&args.out, policy, &sets, &context)?;
    Ok(Outcome::Clean)
}
