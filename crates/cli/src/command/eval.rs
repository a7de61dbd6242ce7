//! `step-train eval`: how well a policy answers problems.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, RUNTIME_OF_SEARCH};
use super::policy_flags::PolicyFlags;
use super::problems::ProblemFlags;
use crate::exit::{Outcome, print_result};
use crate::report::table::scores;
use crate::session::{OutputFlags, Session};
use crate::shown::say;
use anyhow::Result;
use clap::Args;
use espalier_files::ensure_creatable;
use espalier_rounds::stage::eval;
use espalier_rounds::stage::policy_folder::PolicyFolder;
use std::path::PathBuf;

/// Flags of `step-train eval`.
#[derive(Args)]
pub struct EvalArgs {
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    problems: ProblemFlags,
    /// With the method sample: a folder of step-train verifier, or a policy with a value head; the answers are also picked by
    /// its scores, and voted on with them
    #[arg(long, value_name = "DIR")]
    verifier: Option<PathBuf>,
    /// The report to write, as JSON; all samples lie beside it in a Parquet file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<EvalArgs>,
}

impl Keys for EvalArgs {
    const FLAGS: &'static [Group] = &[
        COMMON,
        RUNTIME_OF_SEARCH,
        group(
            "eval",
            &[
                flag("method"),
                flag("samples"),
                flag("aggregation"),
                flag("beam_width"),
                flag("max_tokens"),
                flag("boxed_only"),
            ],
        ),
        group(
            "search",
            &[
                flag("temperature").when("With the methods sample, beam and mcts"),
                flag("simulations").when("With the method mcts"),
                flag("evaluation").when("With the methods beam and mcts"),
            ],
        ),
    ];
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    let policy = args.policy.source()?;
    policy.check_evaluation(args.config.flag("search.evaluation").and_then(|value| value.as_str()))?;
    let problems = args.problems.load(config.seed, &policy.task(&config)?)?;
    ensure_creatable(&args.out)?;
    let name = args.problems.problems.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let group = eval::Group { name, problems: &problems };
    let verifier = args.verifier.as_deref().map(PolicyFolder::open).transpose()?;
    let session = Session::new(args.output);
    let report = eval::run(&[group], &policy, verifier.as_ref(), &args.out, "eval", &session.context(&config))?;
    print_result(format_args!("{}", scores(&report)));
    for skipped in &report.skipped {
        say(format_args!("skipped problem {}: {}", skipped.problem_id, skipped.reason));
    }
    Ok(Outcome::from_failed(report.skipped.len()))
}
