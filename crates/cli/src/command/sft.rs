//! `step-train sft`: supervised training on correct paths of trees, or on worked solutions.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, MODEL, OPTIMISATION, RUNTIME};
use super::problems::load;
use crate::exit::Outcome;
use crate::session::{OutputFlags, Session};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use espalier_rounds::stage::policy_folder::PolicyFolder;
use espalier_rounds::stage::train::{Training, work_folder};
use std::path::PathBuf;

/// Flags of `step-train sft`.
#[derive(Args)]
pub struct SftArgs {
    /// The policy to start from
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Train on the correct paths of these trees
    #[arg(long, value_name = "DIR", required_unless_present = "problems", conflicts_with = "problems")]
    trees: Option<PathBuf>,
    /// Train on the worked solutions of these problems
    #[arg(long, value_name = "FILE")]
    problems: Option<PathBuf>,
    /// The policy to make; metrics go to DIR-train
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<SftArgs>,
}

impl Keys for SftArgs {
    const FLAGS: &'static [Group] = &[
        COMMON,
        RUNTIME,
        group("sft", &[flag("max_paths_per_problem"), flag("value_weight").apart_from("problems")]),
        group("sft.train", &OPTIMISATION),
        group("sft.train", &MODEL),
    ];
}

/// Runs the command.
pub fn run(args: &SftArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    let folder = PolicyFolder::open(&args.policy)?;
    ensure_creatable(&args.out)?;
    let training = Training { title: "sft", policy: &args.policy, out: &args.out, work: &work_folder(&args.out) };
    let session = Session::new(args.output);
    let context = session.context(&config);
    let trained = match (&args.trees, &args.problems) {
        (_, Some(problems)) => {
            let task = config.task_of(folder.prompting())?;
            let problems = load(problems, None, &task, false)?;
            training.sft_on_solutions(&problems, &config.sft.train, &task, &context)?
        }
        (Some(trees), None) => training.sft_on_trees(std::slice::from_ref(trees), &[], &context)?,
        (None, None) => anyhow::bail!("give --trees or --problems"),
    };
    Ok(Outcome::from_failed(trained.skipped.len()))
}
