//! `step-train eval`: how well a policy answers problems.

use super::flags::{CommonFlags, number};
use super::policy_flags::PolicyFlags;
use super::problems::ProblemFlags;
use super::{ConfigFile, configure};
use crate::exit::{Outcome, print_result};
use crate::run::config::RunConfig;
use crate::run::report::table::scores;
use crate::session::{OutputFlags, Session};
use crate::stage::eval::{self, Group, Method};
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use serde::Serialize;
use std::path::PathBuf;

/// Flags of `step-train eval`.
#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    problems: ProblemFlags,
    /// The report to write, as JSON; all samples lie beside it in a Parquet file
    #[arg(long, value_name = "FILE")]
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
    eval: EvalFlags,
    #[command(flatten)]
    search: SearchFlags,
}

#[derive(Args, Clone, Debug, Serialize)]
struct EvalFlags {
    /// How the policy answers [default: greedy]
    #[arg(long)]
    method: Option<Method>,
    /// With --method sample: answers sampled to a problem [default: 16]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// With --method beam: states that go on at each level [default: 4]
    #[arg(long, value_name = "N")]
    beam_width: Option<usize>,
    /// Most tokens of one answer, or with --method beam and mcts of one step [default: 512]
    #[arg(long)]
    max_tokens: Option<usize>,
    /// Whether only boxed answers count; else "the answer is ...", "#### ..." and a last number do, too [default: true]
    #[arg(long, value_name = "BOOL")]
    boxed_only: Option<bool>,
}

#[derive(Args, Clone, Debug, Serialize)]
struct SearchFlags {
    /// Sampling temperature of --method sample, beam and mcts [default: 0.7]
    #[arg(long, value_parser = number::<f32>)]
    temperature: Option<f32>,
    /// With --method mcts: simulations a tree [default: 200]
    #[arg(long)]
    simulations: Option<u32>,
    /// With --method beam and mcts: value of a state: value_head, rollouts:N or zero [default: value_head, without one zero]
    #[arg(long)]
    evaluation: Option<espalier_search::Evaluation>,
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<Outcome> {
    let config = configure(&RunConfig::default(), &args.file, &args.flags)?;
    let policy = args.policy.source()?;
    policy.check_evaluation(args.flags.search.evaluation)?;
    let problems = args.problems.load(config.seed)?;
    ensure_creatable(&args.out)?;
    let name = args.problems.problems.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let group = Group { name, problems: &problems };
    let report = eval::run(&[group], &policy, &args.out, "eval", &Session::new(args.output).context(&config))?;
    print_result(format_args!("{}", scores(&report)));
    for skipped in &report.skipped {
        eprintln!("skipped problem {}: {}", skipped.problem_id, skipped.reason);
    }
    Ok(Outcome::from_failed(report.skipped.len()))
}
