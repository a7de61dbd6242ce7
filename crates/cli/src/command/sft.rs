//! `step-train sft`: supervised training on correct paths of trees, or on worked solutions.

use super::flags::{CommonFlags, ModelFlags, TrainFlags};
use super::{ConfigFile, configure};
use crate::exit::Outcome;
use crate::run::config::RunConfig;
use crate::session::{OutputFlags, Session};
use crate::stage::policy_folder::{PolicyFolder, Prompting};
use crate::stage::train::{Training, work_folder};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use espalier_task::load_problems;
use serde::Serialize;
use std::path::PathBuf;

/// Flags of `step-train sft`.
#[derive(Args, Clone, Debug)]
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
    sft: SftFlags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct SftFlags {
    /// At most this many correct paths of a problem, chosen at random [default: 4]
    #[arg(long)]
    max_paths_per_problem: Option<usize>,
    /// With --trees: weight of the value head's squared error, to train head and policy at once [default: 0, the policy
    /// alone]
    #[arg(long, value_name = "WEIGHT", conflicts_with = "problems")]
    value_weight: Option<f64>,
    #[command(flatten)]
    train: SftTrainFlags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct SftTrainFlags {
    #[command(flatten)]
    #[serde(flatten)]
    train: TrainFlags,
    #[command(flatten)]
    #[serde(flatten)]
    model: ModelFlags,
}

/// Runs the command.
pub fn run(args: &SftArgs) -> Result<Outcome> {
    let config = configure(&RunConfig::default(), &args.file, &args.flags)?;
    let folder = PolicyFolder::open(&args.policy)?;
    ensure_creatable(&args.out)?;
    let training = Training { title: "sft", policy: &args.policy, out: &args.out, work: &work_folder(&args.out) };
    let session = Session::new(args.output);
    let context = session.context(&config);
    let trained = match (&args.trees, &args.problems) {
        (_, Some(problems)) => {
            let (format, granularity) = config.format_of(folder.prompting());
            let problems = load_problems(problems, None)?;
            training.sft_on_solutions(&problems, &config.sft.train, Prompting { format, granularity }, &context)?
        }
        (Some(trees), None) => training.sft_on_trees(std::slice::from_ref(trees), &[], &context)?,
        (None, None) => anyhow::bail!("give --trees or --problems"),
    };
    Ok(Outcome::from_failed(trained.skipped.len()))
}
